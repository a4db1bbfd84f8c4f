// The places of a JSON text's tokens, found by simdjson some gigabytes a second: brackets, colons,
// commas, and the first byte of each string and other scalar. The text itself is not copied.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "common/bytes.hpp"

namespace notp {

// Immutable; the text must outlive it. It takes 4 bytes of memory for each token.
class JsonTokens {
 public:
  // Nothing when the text is empty, holds bad UTF-8, has a string without end or a control
  // character in one, or is larger than kJsonChangesBytesMax. What is found need not be JSON:
  // neither scalars nor the order of the tokens have been looked at.
  static std::optional<JsonTokens> find(ByteView text);

  JsonTokens(JsonTokens&&) noexcept;
  JsonTokens& operator=(JsonTokens&&) noexcept;
  ~JsonTokens();

  std::span<const uint32_t> places() const { return places_; }

 private:
  struct Parser;
  explicit JsonTokens(std::unique_ptr<Parser> parser);

  std::unique_ptr<Parser> parser_;  // owns the places
  std::span<const uint32_t> places_;
};

}  // namespace notp
