// Parts that messages of several families have.
#pragma once

#include <cstdint>
#include <string>

#include "common/crypto/digest.hpp"
#include "common/result.hpp"
#include "protocol/model/ledger.hpp"
#include "protocol/trust/release_ref.hpp"

namespace notp::wire {

struct Base {
  uint64_t version = 0;
  Hash content_root;
  auto operator<=>(const Base&) const = default;
};

struct Refusal {
  model::LedgerId ledger;
  ErrorCode code = ErrorCode::kDenied;
  std::string message;
};

}  // namespace notp::wire
