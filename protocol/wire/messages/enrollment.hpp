// Messages with which a node gets its first certificate, and the next ones.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/bytes.hpp"
#include "protocol/wire/frame_type.hpp"
#include "protocol/wire/request_traits.hpp"

namespace notp::wire {

struct IssuedToken {
  static constexpr std::string_view kName = "IssuedToken";

  std::string token;
};

struct NewJoinToken {
  static constexpr std::string_view kName = "NewJoinToken";
  static constexpr std::optional<Action> kAction = Action::kEnroll;
  static constexpr RequestKind kKind = RequestKind::kCommand;
  using Response = IssuedToken;

  std::string node;
  uint64_t lifetime_ms = 0;
  bool replace = false;
};

struct Certificate {
  static constexpr std::string_view kName = "Certificate";

  Bytes certificate;
  Bytes authorities;
};

struct RenewCertificate {
  static constexpr std::string_view kName = "RenewCertificate";
  static constexpr std::optional<Action> kAction = Action::kRenew;
  static constexpr RequestKind kKind = RequestKind::kCommand;
  using Response = Certificate;

  Bytes request;
};

struct Join {
  static constexpr FrameType kFrame = FrameType::kJoin;
  static constexpr std::string_view kName = "Join";

  std::string token;
  Bytes request;
};

struct Joined {
  static constexpr FrameType kFrame = FrameType::kJoined;
  static constexpr std::string_view kName = "Joined";

  Certificate certificate;
  std::vector<Bytes> root_chain;
};

}  // namespace notp::wire
