// Untrusted bytes of what a registry asks or listens to for its token lanes. The first byte chooses
// the decoder, the rest is what it gets.
#include <algorithm>
#include <string_view>

#include "common/assert.hpp"
#include "notp-server/lane_inputs/introspection.hpp"
#include "notp-server/lane_inputs/pull_limits.hpp"
#include "notp-server/lane_inputs/redis_protocol.hpp"
#include "notp-server/lane_inputs/refusal.hpp"
#include "notp-server/lane_inputs/status_list.hpp"
#include "notp-server/lane_inputs/token_message.hpp"

namespace {

using namespace notp;
using namespace notp::lane_inputs;

constexpr TimeMs kNow = 1'800'000'000'000;

void check_message(std::string_view text) {
  for (const IdForm form : {IdForm::kToken, IdForm::kSha256})
    for (const auto& message : {read_token_message(text, form), read_base64_message(text, form)}) {
      if (!message) {
        NOTP_ASSERT(!rule_of(message.error()).empty(), "a message is refused by name");
        continue;
      }
      NOTP_ASSERT(!message->type.empty(), "a message has a type");
      NOTP_ASSERT(message->token.empty() == (form == IdForm::kSha256), "a hash is no token");
      NOTP_ASSERT(form == IdForm::kSha256 || message->id == feed::token_id(message->token.text()),
                  "the id is the hash of the token");
    }
}

// However the bytes are cut, the replies are the same.
void check_redis(std::string_view bytes) {
  constexpr size_t kMost = 256;
  const auto read = [&](size_t piece) {
    RedisReader reader(kMost);
    std::string out;
    for (size_t at = 0; at < bytes.size(); at += piece) {
      if (!reader.feed(bytes.substr(at, piece))) return out + "!";
      while (true) {
        const auto reply = reader.next();
        if (!reply) return out + "!";
        if (!*reply) break;
        NOTP_ASSERT((*reply)->items.size() <= kRedisItemsMax, "an array within its limit");
        NOTP_ASSERT((*reply)->text.size() <= kMost, "a text within its limit");
        out += (*reply)->text + "/";
        for (const RedisReply& item : (*reply)->items) out += item.text + ",";
      }
    }
    return out;
  };
  // What is whole before an error is the same; where the error is seen is not.
  const std::string at_once = read(64), bytewise = read(1);
  const size_t common = std::min(at_once.size(), bytewise.size());
  NOTP_ASSERT(common == 0 || at_once.substr(0, common - 1) == bytewise.substr(0, common - 1),
              "replies do not depend on how their bytes are cut");
}

void check_list(std::string_view text) {
  const auto bytes = inflated_bytes(text, limits::kStatusListInflatedMax);
  NOTP_ASSERT(!bytes || *bytes <= limits::kStatusListInflatedMax, "a list within its limit");
  NOTP_ASSERT(bytes || !rule_of(bytes.error()).empty(), "a list is refused by name");
  // Nothing is signed by a set without keys.
  const auto list = read_status_list(text, {}, {.uri = "https://a", .issuer = "i", .now_ms = kNow});
  NOTP_ASSERT(!list && rule_of(list.error()).starts_with("status-list."),
              "an unsigned list is none");
}

void check_answer(std::string_view text) {
  constexpr unsigned kStatuses[] = {200, 400, 401, 500};
  for (const unsigned status : kStatuses) {
    http::Response response;
    response.status = status;
    response.body = text;
    const auto answer = read_introspection(response, {.issuer = "i", .now_ms = kNow});
    NOTP_ASSERT(!answer || status == 200, "an answer comes with a success alone");
    if (!answer || !*answer) continue;
    NOTP_ASSERT((*answer)->contains("iss"), "a living token has an issuer");
    NOTP_ASSERT(!(*answer)->contains("active") && !(*answer)->contains("jti"), "no other members");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 4) {
    case 0:
      check_message(text);
      break;
    case 1:
      check_redis(text);
      break;
    case 2:
      check_list(text);
      break;
    default:
      check_answer(text);
      break;
  }
  return 0;
}
