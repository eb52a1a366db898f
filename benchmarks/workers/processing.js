// What chapter 13's worker does with rows, for both workers in JavaScript.

export function sort(rows, { field, order = "asc" }) {
  const sign = order === "asc" ? 1 : -1;
  return [...rows].sort((a, b) => {
    const one = a[field];
    const other = b[field];
    return sign * (one < other ? -1 : one > other ? 1 : 0);
  });
}

export function filter(rows, { field, value, operator = "equals" }) {
  return rows.filter((row) => {
    const own = row[field];
    switch (operator) {
      case "equals":
        return own === value;
      case "contains":
        return String(own).includes(String(value));
      case "greater":
        return own > value;
      case "less":
        return own < value;
      default:
        return true;
    }
  });
}

export function aggregate(rows, { operation, field }) {
  const sum = () => rows.reduce((total, row) => total + (row[field] || 0), 0);
  switch (operation) {
    case "count":
      return rows.length;
    case "sum":
      return sum();
    case "average":
      return rows.length > 0 ? sum() / rows.length : 0;
    case "min":
      return Math.min(...rows.map((row) => row[field]));
    case "max":
      return Math.max(...rows.map((row) => row[field]));
    default:
      return null;
  }
}
