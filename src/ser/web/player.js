/** A player of one recording. The position can be moved even if the browser cannot play the file. */

/**
 * @param {Blob} blob
 * @param {number} seconds
 * @param {{moved: (seconds: number, playing: boolean) => void, changed: (playing: boolean) => void, unplayable: () => void}} events
 * @returns {{seek: (seconds: number) => void, toggle: () => void, pause: () => void, close: () => void}}
 */
export function makePlayer(blob, seconds, events) {
  const url = URL.createObjectURL(blob);
  const sound = new Audio(url);
  let playable = true;
  let frame = 0;
  const follow = () => {
    events.moved(Math.min(sound.currentTime, seconds), true);
    frame = requestAnimationFrame(follow);
  };
  const halt = () => {
    cancelAnimationFrame(frame);
    events.moved(Math.min(sound.currentTime, seconds), false);
    events.changed(false);
  };
  sound.onplay = () => {
    events.changed(true);
    follow();
  };
  sound.onpause = sound.onended = halt;
  sound.onerror = () => {
    playable = false;
    events.unplayable();
  };
  return {
    seek: (to) => {
      const time = Math.min(seconds, Math.max(0, to));
      if (playable) sound.currentTime = time;
      events.moved(time, !sound.paused);
    },
    toggle: () => {
      if (!playable) return;
      if (sound.paused) sound.play().catch(() => {});
      else sound.pause();
    },
    pause: () => sound.pause(),
    close: () => {
      sound.onplay = sound.onpause = sound.onended = sound.onerror = null;
      sound.pause();
      cancelAnimationFrame(frame);
      URL.revokeObjectURL(url);
    },
  };
}
