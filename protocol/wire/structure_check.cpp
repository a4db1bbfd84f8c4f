#include "protocol/wire/structure_check.hpp"

#include <fmt/format.h>

#include <array>

#include "common/assert.hpp"

namespace notp::wire {
namespace {

// Wire types of the Protobuf encoding.
constexpr uint64_t kVarint = 0, kFixed64 = 1, kLengthDelimited = 2, kFixed32 = 5;

std::unexpected<Error> refuse(const Layout& layout, uint64_t number, std::string_view what) {
  return fail(ErrorCode::kMessage, fmt::format("{}, field {}: {}", layout.name, number, what));
}

// The value of one field: its number, or its bytes.
struct Value {
  uint64_t number = 0;
  ByteView bytes;
};

Result<Value> take_value(const Layout& layout, uint64_t field, uint64_t wire_type, ByteView& in) {
  switch (wire_type) {
    case kVarint: {
      NOTP_ASSIGN(const uint64_t number, take_varint(in));
      return Value{number, {}};
    }
    case kFixed64:
    case kFixed32: {
      NOTP_ASSIGN(const ByteView bytes, take_bytes(in, wire_type == kFixed64 ? 8 : 4));
      return Value{0, bytes};
    }
    case kLengthDelimited: {
      NOTP_ASSIGN(const uint64_t length, take_varint(in));
      NOTP_ASSIGN(const ByteView bytes, take_bytes(in, length));
      return Value{0, bytes};
    }
    default:
      return refuse(layout, field, fmt::format("wire type {} is not allowed", wire_type));
  }
}

bool wire_type_fits(FieldKind kind, uint64_t wire_type) {
  switch (kind) {
    case FieldKind::kBool:
    case FieldKind::kUint32:
    case FieldKind::kUint64:
      return wire_type == kVarint;
    case FieldKind::kPackedUint32:
      return wire_type == kVarint || wire_type == kLengthDelimited;
    case FieldKind::kBytes:
    case FieldKind::kMessage:
      return wire_type == kLengthDelimited;
  }
  return false;
}

Result<void> check_packed(const Layout& layout, const FieldRule& rule, ByteView packed) {
  size_t count = 0;
  while (!packed.empty()) {
    NOTP_ASSIGN(const uint64_t number, take_varint(packed));
    if (number > UINT32_MAX) return refuse(layout, rule.number, "a number is over 32 bits");
    if (++count > rule.count_max) return refuse(layout, rule.number, "too many numbers");
  }
  return {};
}

Result<void> check_value(const Layout& layout, const FieldRule& rule, uint64_t wire_type,
                         const Value& value) {
  if (!wire_type_fits(rule.kind, wire_type))
    return refuse(layout, rule.number, fmt::format("wire type {} is not the field's", wire_type));
  if (rule.kind == FieldKind::kBool && value.number > 1)
    return refuse(layout, rule.number, "a truth value is neither 0 nor 1");
  if ((rule.kind == FieldKind::kUint32 || rule.kind == FieldKind::kPackedUint32) &&
      value.number > UINT32_MAX)
    return refuse(layout, rule.number, "a number is over 32 bits");
  if (value.bytes.size() > rule.bytes_max)
    return refuse(layout, rule.number,
                  fmt::format("{} bytes, at most {}", value.bytes.size(), rule.bytes_max));
  if (rule.kind == FieldKind::kPackedUint32) return check_packed(layout, rule, value.bytes);
  return rule.kind == FieldKind::kMessage ? check_structure(*rule.layout, value.bytes)
                                          : Result<void>{};
}

const FieldRule* find_rule(const Layout& layout, uint64_t number) {
  for (const FieldRule& rule : layout.fields)
    if (rule.number == number) return &rule;
  return nullptr;
}

}  // namespace

// Recursion ends with the schema, which has no cycle: at most five levels.
Result<void> check_structure(const Layout& layout, ByteView payload) {
  NOTP_ASSERT(layout.fields.size() <= kLayoutFieldsMax, "a layout has a count for each field");
  std::array<size_t, kLayoutFieldsMax> counts{};
  size_t members = 0;
  while (!payload.empty()) {
    NOTP_ASSIGN(const uint64_t tag, take_varint(payload));
    const uint64_t number = tag >> 3;
    if (tag > UINT32_MAX || number == 0) return refuse(layout, number, "not a field number");
    NOTP_ASSIGN(const Value value, take_value(layout, number, tag & 7, payload));
    const FieldRule* rule = find_rule(layout, number);
    if (rule == nullptr) continue;
    if (++counts[static_cast<size_t>(rule - layout.fields.data())] > rule->count_max)
      return refuse(layout, number, fmt::format("comes more often than {}", rule->count_max));
    if (layout.one_of && rule->kind == FieldKind::kMessage && ++members > 1)
      return refuse(layout, number, "a second member of a oneof");
    NOTP_TRY(check_value(layout, *rule, tag & 7, value));
  }
  return {};
}

}  // namespace notp::wire
