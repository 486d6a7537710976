
// Above stands how one tone is made; here all of them are, beside the page, which is told of each as it is done.
self.addEventListener("message", ({ data: rate }) => {
  for (let pitch = LOWEST_TONE; pitch <= HIGHEST_TONE; pitch += TONE_STEP) {
    const samples = tone(pitch, rate);
    self.postMessage({ pitch, samples }, [samples.buffer]);
  }
  self.postMessage(null);
});
