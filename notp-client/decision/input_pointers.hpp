// Finds texts in the inputs of a question, such as tokens.
#pragma once

#include <string>
#include <vector>

#include "notp-client/pdp/pdp.hpp"

namespace notp::decision {

// Immutable: thread-safe.
class InputPointers {
 public:
  // `pointers`: RFC 6901, into an input. What is none finds nothing.
  explicit InputPointers(const std::vector<std::string>& pointers);

  struct Found {
    size_t pointer = 0;  // its index
    std::string text;    // unescaped
  };
  // The texts at the pointers, in their order, as the engine reads them. An input that the engine
  // will refuse has none.
  std::vector<Found> texts_in(pdp::InputForm form, const pdp::InputText& sent) const;

 private:
  std::vector<std::vector<std::string>> pointers_;  // as tokens, unescaped
};

}  // namespace notp::decision
