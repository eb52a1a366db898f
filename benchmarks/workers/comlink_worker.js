// The same functions behind comlink.
import { expose } from "comlink";
import * as operations from "./processing.js";

expose({ ...operations });
