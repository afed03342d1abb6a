// Package strictyaml reads the YAML that people write into protobuf messages,
// and refuses whatever could be read in two ways.
//
// All mistakes of a file are reported at once, each with its line, column,
// the text that is wrong and what to do about it. What is refused: fields that
// the message does not have, keys that stand twice, a second document, anchors,
// aliases, merge keys and tags, values of another type than the field's, and
// plain words that YAML readers disagree on (a plain `yes` is text to one and
// true to another).
//
// # How messages are written
//
// A message is a mapping from its field names, as the .proto file spells them.
//
//   - A repeated message whose field 1 is a string called `name` is a mapping
//     from that name to the rest of the message, in order; where names are all
//     there is to say, a plain list of names will do.
//   - An enum value is written without the prefix of its enum, in lower case:
//     CEILING_CREATOR is `creator`. The value 0, which stands for an absent
//     field, cannot be written when it ends in _UNSPECIFIED.
//   - A google.protobuf.Duration is `90d`, `1h30m` or `0s`: see [ParseDuration].
//     A google.protobuf.Timestamp is RFC 3339.
//   - A google.protobuf.ListValue is a list of strings.
//   - A latchkey.policy.v1.JsonValue is any value that JSON has too. The order
//     of its members is kept.
//
// The [Source] that comes with the message keeps the place of every field, so
// that a later stage can turn its own complaints into the same [Mistakes].
package strictyaml
