import { cpus, loadavg, platform, release, totalmem } from 'node:os';

/** What the figures depend on, beside the servers. */
export function describeMachine(): [string, string][] {
  const processors = cpus();
  const load = loadavg().map((value) => value.toFixed(2));
  return [
    ['date', `${new Date().toISOString().slice(0, 16).replace('T', ' ')} UTC`],
    ['processor', `${processors.length} x ${processors[0]?.model.trim() ?? 'unknown'}`],
    ['memory', `${Math.round(totalmem() / 2 ** 30)} GiB`],
    ['system', `${platform()} ${release()}`],
    ['Node.js', process.version],
    ['load of the machine before it began (1, 5, 15 min)', load.join(', ')],
  ];
}
