// Time as an argument. Pure code takes numbers; effectful code takes a Clock, so that tests and the simulator own time.

export interface Clock {
  /** Milliseconds since the Unix epoch; may jump. Only for what people and S3 see. */
  wallMs(): number;
  /** Milliseconds, never goes back; counts time spent in suspend when the system can tell. For leases and timeouts. */
  monotonicMs(): number;
}
