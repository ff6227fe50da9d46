import { type DeliveryOptions, deliveryRules } from '../delivery/delivery-options.ts';
import { DeliveryNode } from '../delivery/node.ts';
import { option, readOptions } from '../options.ts';
import { InProcessBackplane, InProcessHub } from './in-process-backplane.ts';

export type InMemoryDeliveryOptions = DeliveryOptions & {
  /** Managers that are given the same hub share sessions; without one each stands alone. */
  readonly hub?: InProcessHub | undefined;
  /**
   * Sessions and broadcasts of different namespaces never meet.
   * @default 'default'
   */
  readonly namespace?: string | undefined;
};

const rules = {
  ...deliveryRules,
  maxLogBytes: option.bytes(16 * 1024 * 1024),
  hub: option.having<InProcessHub>('namespace'),
  namespace: option.name('default', 256),
};

/** A node on a log in this process. */
export function inMemoryNode(owner: string, options: InMemoryDeliveryOptions | undefined): DeliveryNode {
  const { hub = new InProcessHub(), namespace, ...settings } = readOptions(owner, options, rules);
  const { sessionTimeoutMs, maxLogBytes } = settings;
  return new DeliveryNode(new InProcessBackplane({ hub, namespace, sessionTimeoutMs, maxLogBytes }), settings);
}
