// Which snapshots are being sent by this process. A snapshot that is being sent cannot be destroyed: on zfs-fuse
// `zfs destroy` would wait for the reader of the stream, however long that takes; OpenZFS says busy; folders would be
// removed under the reader. So both drivers ask here first. Owns the counts.

export interface SendBook {
  /** Counts a send until the returned function is called; calling it again does nothing. */
  begin(name: string, snapshot: string): () => void;
  isSending(name: string, snapshot?: string): boolean;
}

export function createSendBook(): SendBook {
  const running = new Map<string, number>();
  return {
    begin(name, snapshot) {
      const key = `${name}@${snapshot}`;
      running.set(key, (running.get(key) ?? 0) + 1);
      let ended = false;
      return () => {
        if (ended) return;
        ended = true;
        const left = (running.get(key) ?? 1) - 1;
        if (left > 0) running.set(key, left);
        else running.delete(key);
      };
    },
    isSending: (name, snapshot) =>
      snapshot === undefined
        ? [...running.keys()].some((key) => key.startsWith(`${name}@`))
        : running.has(`${name}@${snapshot}`),
  };
}
