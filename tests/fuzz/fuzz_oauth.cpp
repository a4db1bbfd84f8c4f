// Untrusted answers of token endpoints and resources. The first byte is for the status, the first
// line for the nonce and the challenge; the rest is the body.
#include <algorithm>
#include <string_view>

#include "common/assert.hpp"
#include "common/oauth/access_core.hpp"
#include "common/oauth/dpop.hpp"
#include "common/oauth/oauth_limits.hpp"

namespace {

using namespace notp;

constexpr TimeMs kBoot = 1'000'000;

// What goes into a header ends no line and begins no other field.
bool is_header_text(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return c > ' ' && c < 0x7f; });
}

void check_token(const http::Response& response, const std::string& thumbprint) {
  const auto token = oauth::read_token_answer(response, thumbprint, kBoot);
  if (!token) return;
  NOTP_ASSERT(response.status == 200, "a token comes with a success alone");
  NOTP_ASSERT(!token->text.empty() && token->text.size() <= oauth::kAccessTokenBytesMax &&
                  is_header_text(token->text),
              "a token that a header can have");
  NOTP_ASSERT(token->until_ms >= kBoot && token->until_ms <= kBoot + oauth::kTokenLifeMsMax,
              "a life within its limit");
  NOTP_ASSERT(token->key_thumbprint == thumbprint, "a token is bound to its key");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  constexpr unsigned kStatuses[] = {200, 400, 401, 302, 500};
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  const std::string line(text.substr(0, text.find('\n')));
  http::Response response{.status = kStatuses[data[0] % std::size(kStatuses)],
                          .headers = {{"DPoP-Nonce", line}, {"WWW-Authenticate", line}},
                          .body = Bytes(text.substr(std::min(line.size() + 1, text.size())))};
  check_token(response, "");
  check_token(response, "thumbprint");
  const std::string nonce = oauth::nonce_of(response);
  NOTP_ASSERT(nonce.size() <= oauth::kNonceBytesMax && is_header_text(nonce),
              "a nonce that a proof can have");

  // Whatever a server says, a request for a token and one with it end after few calls.
  oauth::AccessCore core({}, {.issuer = "i"});
  const oauth::Credentials credentials;
  const auto next = core.on_token_answer(response, credentials, kBoot);
  NOTP_ASSERT(!next || *next == oauth::AccessCore::Next::kDone, "no nonce without a key");
  const http::Response good{.headers = {}, .body = R"({"access_token":"t","token_type":"Bearer"})"};
  int again = 0;
  do {
    if (!core.has_token(credentials, kBoot))
      NOTP_ASSERT(core.on_token_answer(good, credentials, kBoot), "a good answer gives a token");
    NOTP_ASSERT(again < oauth::kResourceCallsMax, "a request ends");
  } while (core.on_response(response, again++ == 0) == oauth::AccessCore::Next::kAgain);
  return 0;
}
