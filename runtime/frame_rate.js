// How smoothly a page runs: counted here, so that Python is not called in every frame.

/** Begin to count frames. `take()` tells of those since the last; `stop()` ends it. */
export const count = () => {
  let frames = 0;
  let longest = 0;
  let last = performance.now();
  let since = last;
  let request = 0;

  const frame = (now) => {
    frames++;
    longest = Math.max(longest, now - last);
    last = now;
    request = requestAnimationFrame(frame);
  };
  request = requestAnimationFrame(frame);

  return {
    /** Frames a second, and the milliseconds of the longest. */
    take() {
      const now = performance.now();
      const taken = [(frames * 1000) / (now - since), Math.max(longest, now - last)];
      frames = 0;
      longest = 0;
      since = now;
      return taken;
    },
    stop: () => cancelAnimationFrame(request),
  };
};
