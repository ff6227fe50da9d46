import { request } from 'node:http';

/** Where a Docker daemon of this machine listens, if one does. */
export function dockerSocket(): string {
  return (process.env.DOCKER_HOST ?? 'unix:///var/run/docker.sock').replace(/^unix:\/\//, '');
}

/** Whether a Docker daemon of this machine answers. */
export function dockerAnswers(): Promise<boolean> {
  const socketPath = dockerSocket();
  // A daemon elsewhere is not worth the wait: then we start our own server.
  if (!socketPath.startsWith('/')) return Promise.resolve(false);
  return new Promise((resolve) => {
    const ping = request({ socketPath, path: '/_ping', timeout: 500 }, (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    });
    ping.on('timeout', () => ping.destroy());
    ping.on('error', () => resolve(false));
    ping.end();
  });
}
