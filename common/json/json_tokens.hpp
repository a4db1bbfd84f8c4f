// Finds the tokens of a JSON text with simdjson, at some gigabytes a second: brackets, colons,
// commas, and the first byte of each string and other scalar. The text is not copied.
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
  // nullopt when the text is empty, holds bad UTF-8, has an unterminated string or a control
  // character in one, or is larger than kJsonChangesBytesMax. The result need not be JSON: neither
  // scalars nor the order of the tokens are checked.
  static std::optional<JsonTokens> find(ByteView text);

  JsonTokens(JsonTokens&&) noexcept;
  JsonTokens& operator=(JsonTokens&&) noexcept;
  ~JsonTokens();

  std::span<const uint32_t> places() const { return places_; }

 private:
  struct Parser;
  explicit JsonTokens(std::unique_ptr<Parser> parser);

  std::unique_ptr<Parser> parser_;  // owns the token positions
  std::span<const uint32_t> places_;
};

}  // namespace notp
