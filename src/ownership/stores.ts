// The stores of a real node; simulators have others. Owns nothing.
import { createStore, openStore, relabelStore } from '../store/store.ts';
import type { StoreFactory } from './runner.ts';

export const STORES: StoreFactory = { create: createStore, open: openStore, relabel: relabelStore };
