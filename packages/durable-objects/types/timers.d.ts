// The types of Workers know `null` for a timer that was never set, those of other runtimes, which core is written for,
// `undefined`. Both are accepted everywhere.
declare function clearTimeout(timer: number | undefined): void;
declare function clearInterval(timer: number | undefined): void;

/** Both options of a decoder are optional. */
interface TextDecoderConstructorOptions {
  ignoreBOM?: boolean;
}
