// A microphone to the server's socket: 16-bit samples there, the text so far back.

const PIECE = 0.1; // seconds that are sent at once

/**
 * Listen; gives what stops it. `heard(text)` is told the text so far, `loud(share)` how loud it is, `ended({answer,
 * error})` how it ended. Throws `{given, expected, do}` where there is nothing to listen with.
 */
export async function listen(address, { heard, loud, ended }) {
  if (!navigator.mediaDevices) {
    const expected = "a page from this machine, or over https";
    throw { given: "The browser gives this page no microphone", expected, do: "Open the page by such an address." };
  }
  const sound = { echoCancellation: false, noiseSuppression: false, autoGainControl: false, channelCount: 1 };
  const microphone = await navigator.mediaDevices.getUserMedia({ audio: sound }).catch((reason) => {
    throw { given: `There is no microphone (${reason.name})`, expected: "one that this page may use", do: "Allow it." };
  });
  const context = new AudioContext();
  await context.audioWorklet.addModule(new URL("microphone.js", import.meta.url));
  address.searchParams.set("rate", context.sampleRate);
  const socket = new WebSocket(address);
  const source = context.createMediaStreamSource(microphone);
  const options = { numberOfOutputs: 0, processorOptions: { piece: Math.round(PIECE * context.sampleRate) } };
  const worklet = new AudioWorkletNode(context, "microphone", options);
  let answer = null;
  let error = null;

  const close = () => {
    worklet.port.onmessage = null;
    for (const track of microphone.getTracks()) track.stop();
    if (context.state !== "closed") context.close();
  };
  worklet.port.onmessage = ({ data }) => {
    loud(data.reduce((most, value) => Math.max(most, Math.abs(value)), 0) / 32768);
    if (socket.readyState === WebSocket.OPEN) socket.send(data.buffer);
  };
  socket.onopen = () => source.connect(worklet);
  socket.onmessage = ({ data }) => {
    const said = JSON.parse(data);
    if (said.answer) answer = said.answer;
    else if (said.error) error = said.error;
    else heard(said.text);
  };
  socket.onclose = ({ reason }) => {
    close();
    if (!answer && !error) error = { given: reason || "The server stopped listening", do: "Try again." };
    ended({ answer, error });
  };
  return () => {
    close();
    if (socket.readyState === WebSocket.OPEN) socket.send("end");
    else socket.close();
  };
}
