// What a provider of keys answers: discovery documents, key sets, Cache-Control. The first byte
// chooses; the rest is the text.
#include <string_view>

#include "common/assert.hpp"
#include "common/http/url.hpp"
#include "common/jose/key_set.hpp"
#include "notp-server/sources/discovery.hpp"
#include "notp-server/sources/document.hpp"
#include "notp-server/sources/issuer_limits.hpp"
#include "notp-server/sources/key_fetch.hpp"

namespace {

using namespace notp;

constexpr std::string_view kIssuer = "https://login.example/realms/shop";

// What is published is public, is a set, and is its own canonical form.
void check_key_set(std::string_view text) {
  const auto set = sources::accept_key_set(text, kIssuer);
  if (!set) {
    NOTP_ASSERT(sources::rule_of(set.error()).starts_with("key-set."), "a refusal has its rule");
    return;
  }
  NOTP_ASSERT(!set->kids.empty() && sources::kids_in(set->document) == set->kids,
              "the kids are those of the document");
  const auto again = sources::accept_key_set(set->document, kIssuer);
  NOTP_ASSERT(again && *again == *set, "a canonical set is its own canonical form");
  const auto keys = jose::KeySet::parse_text(set->document);
  NOTP_ASSERT(keys && keys->keys().size() == set->kids.size(), "a published set is a key set");
  for (const jose::PublicJwk& key : keys->keys())
    NOTP_ASSERT(key.is_for_signatures(), "only keys for signatures are published");
}

void check_discovery(std::string_view text) {
  const auto keys =
      sources::read_discovery(text, {.issuer = std::string(kIssuer), .hosts = {"keys.example"}});
  if (!keys) {
    NOTP_ASSERT(sources::rule_of(keys.error()).starts_with("discovery."), "a refusal has its rule");
    return;
  }
  const auto url = http::Url::parse(*keys);
  NOTP_ASSERT(url && url->is_tls, "keys are at an https URL");
  NOTP_ASSERT(url->authority.find('@') == std::string::npos, "no user stands in it");
}

void check_issuer(std::string_view text) {
  if (!sources::check_issuer({.issuer = std::string(text), .hosts = {}})) return;
  for (const std::string& url : sources::discovery_urls(text)) {
    const auto place = http::Url::parse(url);
    NOTP_ASSERT(place && place->at.host == http::Url::parse(text)->at.host,
                "the document is asked for at the issuer's host");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  if (data[0] == 'k') check_key_set(text);
  if (data[0] == 'd') check_discovery(text);
  if (data[0] == 'i') check_issuer(text);
  if (data[0] == 'c') {
    const auto age_ms = sources::max_age_ms(text);
    NOTP_ASSERT(!age_ms || (*age_ms >= 0 && *age_ms <= limits::kSourceAgeMsMax),
                "an age in bounds");
  }
  return 0;
}
