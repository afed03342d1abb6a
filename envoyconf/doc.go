// Package envoyconf writes the configuration of an Envoy that asks Latchkey about every request: [Write] prints a whole
// bootstrap or a part of it, hardened, with the reason beside each setting. What depends on the policies, above all which
// headers Envoy must show to Latchkey and let it change, is [Reads].
package envoyconf
