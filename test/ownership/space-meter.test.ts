// The quota's bookkeeping with a clock, a disk and a sweep made of variables.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { SpaceMeter } from '../../src/ownership/space-meter.ts';

const MiB = 1 << 20;

class Disk {
  bytes = 0;
  nowMs = 1_000_000;
  measurements = 0;
  /** Runs while somebody pauses. */
  onPause: () => void = () => {};
  /** Holds measurements back until resolved. */
  hold: Promise<void> = Promise.resolve();
  readonly meter: SpaceMeter;

  constructor(bodyBytes = 100 * MiB, writeBytes = bodyBytes + MiB) {
    this.meter = new SpaceMeter({
      dataset: 'photos',
      measure: async () => {
        this.measurements++;
        const { bytes } = this;
        await this.hold;
        return bytes;
      },
      nowMs: () => this.nowMs,
      pause: async (ms) => {
        this.nowMs += ms;
        this.onPause();
      },
    });
    this.meter.setLimits({ bodyBytes, writeBytes });
  }

  /** A whole body of known length; its bytes are on the disk when it resolves. */
  async put(bytes: number): Promise<void> {
    const body = this.meter.openBody(bytes);
    try {
      await body.take(bytes);
      this.bytes += bytes;
      body.end(true);
    } catch (error) {
      body.end(false);
      throw error;
    }
  }
}

const exceeded = { code: 'QUOTA_EXCEEDED', subject: 'photos' };

describe('space meter', () => {
  it('takes bodies up to the limit and none beyond it, measuring seldom', async () => {
    const disk = new Disk();
    for (let i = 0; i < 99; i++) {
      disk.nowMs += 1_000;
      await disk.put(MiB);
    }
    assert.ok(disk.measurements <= 2, `${disk.measurements} measurements`);
    await assert.rejects(disk.put(MiB), exceeded);
    assert.equal(disk.bytes, 99 * MiB);
    await disk.put(MiB / 4);
  });

  it('a body of known length is refused with its first byte, one of unknown length where it goes beyond', async () => {
    const disk = new Disk();
    await assert.rejects(async () => disk.meter.openBody(101 * MiB).take(1), exceeded);
    const body = disk.meter.openBody(null);
    for (let i = 0; i < 99; i++) await body.take(MiB);
    await assert.rejects(async () => body.take(MiB), exceeded);
  });

  it('what does not fit uncompressed fits once it is measured', async () => {
    const disk = new Disk();
    for (let i = 0; i < 300; i++) {
      disk.nowMs += 1_000;
      const body = disk.meter.openBody(MiB);
      await body.take(MiB);
      disk.bytes += MiB / 4;
      body.end(true);
    }
    assert.equal(disk.bytes, 75 * MiB);
  });

  it('bodies under way count in full, and not twice once they are measured', async () => {
    const disk = new Disk();
    const large = disk.meter.openBody(60 * MiB);
    await large.take(MiB);
    await assert.rejects(disk.put(50 * MiB), exceeded);
    for (let i = 1; i < 50; i++) await large.take(MiB);
    disk.bytes = 50 * MiB;
    disk.nowMs += 10_000;
    // 60 are promised, 50 of them are there: 100 - 60 = 40 are left, less what may be in buffers.
    await disk.put(38 * MiB);
    await assert.rejects(disk.put(2 * MiB), exceeded);
    for (let i = 50; i < 60; i++) await large.take(MiB);
    disk.bytes += 10 * MiB;
    large.end(true);
    disk.nowMs += 10_000;
    await assert.rejects(disk.put(2 * MiB), exceeded);
    assert.equal(await disk.meter.refresh(), 98 * MiB);
  });

  it('a body that ends while a measurement runs is counted once', async () => {
    const disk = new Disk();
    await disk.meter.refresh();
    disk.nowMs += 10_000;
    const body = disk.meter.openBody(40 * MiB);
    await body.take(40 * MiB);
    disk.bytes = 40 * MiB;
    let go = () => {};
    disk.hold = new Promise((resolve) => {
      go = resolve;
    });
    const measuring = disk.meter.refresh();
    body.end(true);
    go();
    await measuring;
    const { estimateBytes } = disk.meter;
    assert.ok(estimateBytes >= 40 * MiB && estimateBytes < 42 * MiB, `${estimateBytes / MiB}`);
  });

  it('many at once do not go beyond the limit together', async () => {
    const disk = new Disk();
    const results = await Promise.allSettled(Array.from({ length: 50 }, () => disk.put(10 * MiB)));
    assert.equal(results.filter(({ status }) => status === 'fulfilled').length, 9);
    assert.equal(disk.bytes, 90 * MiB);
  });

  it('room that is being freed is waited for; without a deletion nobody waits', async () => {
    const disk = new Disk();
    await disk.put(90 * MiB);
    const beganMs = disk.nowMs;
    await assert.rejects(disk.put(20 * MiB), exceeded);
    assert.ok(disk.nowMs - beganMs < 4_000);
    disk.nowMs += 10_000;
    disk.meter.noteFreed();
    disk.onPause = () => {
      disk.bytes = 50 * MiB;
    };
    await disk.put(20 * MiB);
    disk.nowMs += 10_000;
    let pauses = 0;
    disk.onPause = () => {
      pauses++;
    };
    disk.measurements = 0;
    await assert.rejects(disk.put(50 * MiB), exceeded);
    assert.equal(pauses, 0);
    disk.meter.noteFreed();
    await assert.rejects(disk.put(50 * MiB), exceeded);
    assert.ok(pauses > 2 && pauses < 20, `${pauses} pauses`);
  });

  it('a body that was refused is neither counted nor waited for', async () => {
    const disk = new Disk();
    for (let i = 0; i < 10; i++) await assert.rejects(disk.put(200 * MiB), exceeded);
    assert.equal(disk.nowMs, 1_000_000);
    assert.ok(disk.meter.estimateBytes < MiB, `${disk.meter.estimateBytes}`);
  });

  it('a body that is given up is counted until it is swept', async () => {
    const disk = new Disk();
    const body = disk.meter.openBody(80 * MiB);
    await body.take(60 * MiB);
    disk.bytes = 60 * MiB;
    body.end(false);
    disk.onPause = () => {
      disk.bytes = 0;
    };
    await disk.put(50 * MiB);
    assert.equal(disk.bytes, 50 * MiB, 'it was waited for');
  });

  it('what brings no body goes a little further, and then stops too', async () => {
    const disk = new Disk();
    disk.bytes = 100 * MiB;
    await disk.meter.requireWritable();
    await assert.rejects(disk.meter.requireRoom(1), exceeded);
    disk.bytes = 102 * MiB;
    disk.nowMs += 10_000;
    for (let i = 0; i < 400; i++) disk.meter.note();
    await assert.rejects(disk.meter.requireWritable(), exceeded);
  });

  it('without limits nothing is measured, and limits that come later know what is under way', async () => {
    const disk = new Disk();
    disk.meter.setLimits(null);
    const body = disk.meter.openBody(80 * MiB);
    await body.take(MiB);
    await disk.put(500 * MiB);
    await disk.meter.requireWritable();
    assert.equal(disk.measurements, 0);
    disk.bytes = MiB;
    disk.meter.setLimits({ bodyBytes: 100 * MiB, writeBytes: 100 * MiB });
    await assert.rejects(disk.put(30 * MiB), exceeded);
    await disk.put(15 * MiB);
  });

  it('a storage that cannot be measured says so instead of guessing', async () => {
    const failing = new SpaceMeter({
      dataset: 'photos',
      measure: () => Promise.reject(new Error('suspended')),
      nowMs: () => 0,
      pause: async () => {},
    });
    failing.setLimits({ bodyBytes: 1, writeBytes: 1 });
    await assert.rejects(failing.requireWritable(), /suspended/);
    await assert.rejects(failing.requireRoom(0), /suspended/);
  });
});
