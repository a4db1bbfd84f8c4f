// Decodes the messages of a stream of frames.
#pragma once

#include <doctest/doctest.h>

#include <vector>

#include "protocol/wire/frame.hpp"

namespace notp {

inline std::vector<wire::Message> messages_in(ByteView bytes) {
  wire::FrameParser parser;
  parser.feed(bytes);
  std::vector<wire::Message> out;
  for (;;) {
    auto next = parser.next();
    REQUIRE(next.has_value());
    if (!*next) return out;
    if (auto* chunk = std::get_if<wire::Chunk>(&**next)) chunk->bytes = {};
    out.push_back(std::move(**next));
  }
}

}  // namespace notp
