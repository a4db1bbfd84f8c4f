#include "common/oauth/access_core.hpp"

#include <fmt/format.h>

#include "common/oauth/dpop.hpp"

namespace notp::oauth {
namespace {

std::string thumbprint_of(const Credentials& credentials) {
  return credentials.dpop_key ? credentials.dpop_key->public_jwk().thumbprint() : std::string();
}

}  // namespace

bool AccessCore::has_token(const Credentials& credentials, TimeMs boot_ms) const {
  return token_ && boot_ms < token_->until_ms &&
         token_->key_thumbprint == thumbprint_of(credentials);
}

Result<http::Call> AccessCore::token_request(const Credentials& credentials, TimeMs wall_ms,
                                             Random& random) {
  token_.reset();
  return oauth::token_request(config_, server_, credentials, server_nonce_, wall_ms, random);
}

Result<AccessCore::Next> AccessCore::on_token_answer(const http::Response& response,
                                                     const Credentials& credentials,
                                                     TimeMs asked_boot_ms) {
  const bool has_repeated = std::exchange(repeated_token_, false);
  std::string nonce = nonce_of(response);
  const bool is_new = !nonce.empty() && nonce != server_nonce_;
  if (!nonce.empty()) server_nonce_ = std::move(nonce);
  if (credentials.dpop_key && is_new && !has_repeated && wants_nonce(response)) {
    repeated_token_ = true;
    return Next::kAgain;
  }
  NOTP_ASSIGN(token_, read_token_answer(response, thumbprint_of(credentials), asked_boot_ms));
  is_new_token_ = true;
  return Next::kDone;
}

Result<void> AccessCore::authorize(http::Call& call, const Credentials& credentials, TimeMs wall_ms,
                                   Random& random) const {
  NOTP_TRY(check_url(call.url, server_));
  if (!token_) return fail(ErrorCode::kInternal, "there is no access token");
  call.headers.emplace_back(
      "Authorization",
      fmt::format("{} {}", credentials.dpop_key ? "DPoP" : "Bearer", token_->text));
  if (!credentials.dpop_key) return {};
  NOTP_ASSIGN(std::string proof, dpop_proof(*credentials.dpop_key,
                                            {.method = call.method,
                                             .url = call.url,
                                             .access_token = token_->text,
                                             .nonce = resource_nonce_},
                                            wall_ms, random));
  call.headers.emplace_back("DPoP", std::move(proof));
  return {};
}

AccessCore::Next AccessCore::on_response(const http::Response& response, bool first) {
  if (first) repeated_call_ = false;
  std::string nonce = nonce_of(response);
  const bool is_new_nonce = !nonce.empty() && nonce != resource_nonce_;
  if (!nonce.empty()) resource_nonce_ = std::move(nonce);
  if (response.status == 401 && wants_nonce(response))
    return is_new_nonce && !std::exchange(repeated_call_, true) ? Next::kAgain : Next::kDone;
  const bool was_new = std::exchange(is_new_token_, false);
  if (response.status != 401) return Next::kDone;
  // Whatever the reason: a token that is refused is not used again.
  token_.reset();
  return was_new ? Next::kDone : Next::kAgain;
}

}  // namespace notp::oauth
