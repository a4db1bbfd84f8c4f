// The interface between the frame layer and the families of messages: functions that every family's
// .cpp instantiates for its messages. Generated classes are not visible here.
#pragma once

#include <span>

#include "common/bytes.hpp"
#include "common/result.hpp"
#include "protocol/wire/structure_check.hpp"

namespace notp::wire {

// Defined for every alternative of Message except Chunk, which is raw.
template <typename T>
struct MessageCodec {
  // Checks the rules for the message's content. kMessage names the field and the rule.
  static Result<void> check(const T& message);
  // Encodes a message that check() accepts. Foreign text is made UTF-8 and cut to its limit.
  static Bytes encode(const T& message);
  // Checks structure and content, and decodes: kMessage when one of them fails.
  static Result<T> decode(ByteView payload);
};

// Defined for every alternative of Request and Response except Done: its part of their generated
// class, which is Envelope.
template <typename T, typename Envelope>
struct PartCodec {
  static std::span<const FieldRule> fields();
  static Result<void> check(const T& part);
  static bool is_in(const Envelope& envelope);
  static void put(Envelope& envelope, const T& part);
  static Result<T> take(const Envelope& envelope);
};

}  // namespace notp::wire
