// Ask the server. The browser keeps answers and asks whether they have changed.
import { answer as storedAnswer, missing, stored } from "./stored.js";

export { stored };

class Refused extends Error {}

export async function get(path, query = {}) {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    for (const each of Array.isArray(value) ? value : [value]) if (each) parameters.append(name, each);
  }
  const search = parameters.toString();
  const address = `${path}${search && "?"}${search}`;
  if (stored) {
    const found = await storedAnswer(address);
    if (!found) throw new Refused(missing(address));
    return found;
  }
  const answer = await fetch(`/api/${address}`, { cache: "no-cache" });
  const data = await answer.json();
  if (!answer.ok) throw new Refused(data.error);
  return Object.assign(data, { tag: answer.headers.get("etag") });
}

// Number the questions to the server: each turn returns whether its answer is late, which means that the answer of a
// later turn was there before.
export function turns() {
  let [asked, answered] = [0, 0];
  return () => {
    const turn = ++asked;
    return () => {
      answered = Math.max(answered, turn);
      return turn < answered;
    };
  };
}

// Call `changed` when programs have written. A question each 0.3 s is no connection that stays open: browsers allow six
// of those to a server, for all tabs together.
export function watch(changed, lost) {
  let known = null;
  async function ask() {
    let pause = 300;
    if (!document.hidden) {
      try {
        const { version } = await get("version");
        lost(false);
        if (known !== null && version !== known) {
          const begin = performance.now();
          await changed();
          pause = Math.max(pause, 3 * (performance.now() - begin));  // a large trace that grows is read less often
        }
        known = version;
      } catch {
        lost(true);
      }
    }
    setTimeout(ask, pause);
  }
  ask();
}
