// The text of a token, in memory alone and cleansed when it is not needed any more.
#pragma once

#include <openssl/crypto.h>

#include <string>
#include <string_view>
#include <utility>

namespace notp::lane_inputs {

// Move-only. Copied when it is moved, as a move leaves a short string's bytes behind.
class TokenText {
 public:
  TokenText() = default;
  explicit TokenText(std::string_view text) : text_(text) {}
  TokenText(TokenText&& other) noexcept : text_(other.text_) { other.cleanse(); }
  TokenText& operator=(TokenText&& other) noexcept {
    if (this == &other) return *this;
    cleanse();
    text_ = other.text_;
    other.cleanse();
    return *this;
  }
  ~TokenText() { cleanse(); }

  TokenText copy() const { return TokenText(text_); }
  const std::string& text() const { return text_; }
  bool empty() const { return text_.empty(); }
  size_t size() const { return text_.size(); }

 private:
  void cleanse() {
    OPENSSL_cleanse(text_.data(), text_.size());
    text_.clear();
  }

  std::string text_;
};

}  // namespace notp::lane_inputs
