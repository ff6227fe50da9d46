import { env } from 'cloudflare:workers';
import { meterCalls, takeCounts } from './metering.ts';

type Objects = DurableObjectNamespace & { idFromString(id: string): DurableObjectId };
type Breakable = { breakDown(): Promise<void> };

export const isMetered: boolean = (env as unknown as { METERED: boolean }).METERED;

/** The Worker that owns the objects. It serves nobody; benchmarks ask it for its counters, and to break objects. */
export function ownerOf(Layer: Parameters<typeof meterCalls>[0]): ExportedHandler {
  if (isMetered) meterCalls(Layer);
  return {
    async fetch(request) {
      const { pathname, searchParams } = new URL(request.url);
      if (pathname === '/counts') return Response.json(takeCounts());
      const { TMCP_DURABLE_OBJECT: objects } = env as unknown as { TMCP_DURABLE_OBJECT: Objects };
      const broken = searchParams.getAll('id').map(async (id) => {
        const stub = objects.get(objects.idFromString(id)) as unknown as Breakable;
        // A reset object answers nobody.
        await stub.breakDown().then(() => Promise.reject(new Error('it lives on')), isReset);
      });
      await Promise.all(broken);
      return new Response('broken');
    },
  };
}

export const BROKEN = 'broken on purpose';

function isReset(error: unknown): void {
  if (!(error instanceof Error && error.message.includes(BROKEN))) throw error;
}
