/**
 * `pnpm --filter example-oauth-client run demo`: an MCP client in several processes that share the OAuth tokens of
 * their user. Each step is checked; the exit code is 0 only if all of them held.
 */
import { Report } from './report.ts';
import { everybodyAtOnce, expiry, firstConsent, logout, restart, type Step, secrets, stolen } from './steps.ts';
import { World } from './world.ts';

const STEPS: readonly Step[] = [firstConsent, secrets, restart, expiry, everybodyAtOnce, stolen, logout];

const report = new Report();
const resources = new AsyncDisposableStack();
try {
  const world = await World.start(resources);
  report.paragraph(
    `An MCP server that wants to know its users is running, and an authorization server whose refresh tokens are good for one use. Sessions are kept in ${world.place.title}.`,
  );
  for (const step of STEPS) report.held(await step(world));
  report.summary();
} catch (error) {
  report.failed(error);
  process.exitCode = 1;
} finally {
  await resources.disposeAsync();
}
