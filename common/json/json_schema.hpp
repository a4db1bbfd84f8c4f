// JSON Schema for configuration files and the manifest of a model.
//
// valijson reads the schema (draft 7) and resolves its references; our own visitor walks the
// document, because the messages are for people: each names the field, the problem and the allowed
// values.
#pragma once

#include "common/bytes.hpp"
#include "common/result.hpp"

namespace notp {

// Validates a document against a JSON Schema of draft 7. The schema is trusted, the document is
// not: the work is bounded by the product of their sizes, and a text that takes a regular
// expression too long does not match it. kUsage: the schema is not a schema, needs another
// document, which is never fetched, or refers to itself without end. kMessage: the document is not
// JSON as parse_json() reads it. kInvalidModel: violations, one "pointer: message" line for each,
// the first kFindingsMax of them; the pointer of the whole document is "(root)". Any thread.
Result<void> validate_json_schema(ByteView schema_json, ByteView document_json);

}  // namespace notp
