#include <doctest/doctest.h>

#include <string>

#include "protocol/serve/peer_error.hpp"

namespace notp {
namespace {

TEST_CASE("of the registry's own matters a peer learns the kind, and nothing of its files") {
  const std::string message = "cannot open /var/lib/notp/ledgers/1/payments.git: SQLite: x";
  for (const ErrorCode code : {ErrorCode::kIo, ErrorCode::kCorrupt, ErrorCode::kInternal}) {
    const std::string told = serve::peer_message(code, message, "100000000000/payments v3");
    CHECK(serve::is_own_matter(code));
    CHECK_FALSE(told.contains("/var"));
    CHECK_FALSE(told.contains("SQLite"));
    CHECK(told.starts_with("100000000000/payments v3: "));
    CHECK(told.ends_with(std::string(error_traits(code).name)));
  }
  CHECK(serve::peer_message(ErrorCode::kCorrupt, message, "").contains("damaged"));
  for (const ErrorCode code : {ErrorCode::kConflict, ErrorCode::kDenied, ErrorCode::kOverloaded,
                               ErrorCode::kInvalidModel}) {
    CHECK_FALSE(serve::is_own_matter(code));
    CHECK(serve::peer_message(code, "the head has moved", "x v1") == "the head has moved");
  }
}

}  // namespace
}  // namespace notp
