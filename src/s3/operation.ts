// Placeholder until the operation table is written.
export type OperationName = string;
