// notp sources: what an administrator sees of the providers whose keys a registry fetches.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <mutex>

#include "common/base64url.hpp"
#include "common/crypto/signature.hpp"
#include "tests/support/providers/keys_site.hpp"
#include "tests/support/wire/http_host.hpp"

namespace notp {
namespace {

json::value printed(const CliResult& result) {
  return must(parse_json(result.output.empty() ? result.error : result.output));
}

json::object public_jwk(uint8_t number) {
  std::array<uint8_t, 32> seed{};
  seed.fill(number);
  return {{"kty", "OKP"},
          {"crv", "Ed25519"},
          {"kid", fmt::format("key-{}", number)},
          {"use", "sig"},
          {"x", to_base64url(PrivateKey::from_seed(seed).public_key().view())}};
}

// A provider that serves what the test says.
class ScriptedProvider {
 public:
  void serve(json::object key_set) {
    const std::lock_guard lock(mutex_);
    key_set_ = std::move(key_set);
  }
  void fail() { serve({}); }
  std::string issuer() const { return fmt::format("http://127.0.0.1:{}", host_.server->port()); }

 private:
  boost::asio::awaitable<http::Response> answer(const http::Request& request) {
    http::Response response;
    const std::lock_guard lock(mutex_);
    if (request.path == "/.well-known/openid-configuration")
      response.body =
          json::serialize(json::object{{"issuer", issuer()}, {"jwks_uri", issuer() + "/jwks"}});
    else if (request.path == "/jwks" && !key_set_.empty())
      response.body = json::serialize(key_set_);
    else
      response.status = 503;
    co_return response;
  }

  std::mutex mutex_;
  json::object key_set_;
  HttpHost host_{[this](const http::Request& request) { return answer(request); }};
};

struct Site : KeysSite {
  Site() {
    provider.serve({{"keys", json::array{public_jwk(1)}}});
    start_registry(provider.issuer());
    REQUIRE(becomes(1));
  }
  // The source is well, and its keys are in this release.
  bool becomes(int64_t version) {
    return wait_until([&] {
      const json::value shown = source();
      return text_at(shown, "state") == "ok" && number_at(shown, "version") == version;
    });
  }

  ScriptedProvider provider;
};

TEST_CASE("an administrator sees how the keys of a provider are, and has them fetched") {
  Site site;
  Stack& stack = site.stack;
  const json::value first = site.source();
  CHECK(text_at(first, "issuer") == site.provider.issuer());
  CHECK(text_at(first, "ledger") == kLoginKeys);
  CHECK(text_at(first, "jwks_uri") == site.provider.issuer() + "/jwks");
  CHECK(first.at("kids") == json::array{"key-1"});
  CHECK(number_at(first, "version") == 1);
  CHECK(number_at(first, "good_age_s") < 120);
  CHECK(at(first, "advice").is_null());
  CHECK(at(first, "error").is_null());

  const CliResult listed = stack.notp("eve", {"sources", "list"});
  REQUIRE_MESSAGE(listed.status == 0, listed.error);
  REQUIRE(listed.document.at("sources").as_array().size() == 1);
  CHECK(text_at(listed.document.at("sources").at(0), "name") == "login");

  // A new key, and then nothing new.
  site.provider.serve({{"keys", json::array{public_jwk(1), public_jwk(2)}}});
  const CliResult changed = site.refresh();
  REQUIRE_MESSAGE(changed.status == 0, changed.error);
  CHECK(changed.document.at("fetched_now").as_bool());
  REQUIRE(site.becomes(2));
  CHECK(site.source().at("kids") == json::array{"key-1", "key-2"});
  const CliResult same = site.refresh();
  REQUIRE_MESSAGE(same.status == 0, same.error);
  CHECK_FALSE(same.document.at("new_release").as_bool());

  // Names and rights.
  const CliResult nobody = stack.notp("eve", {"sources", "show", "logout"});
  CHECK(nobody.status == 8);
  CHECK(nobody.error_code() == "not_found");
  const CliResult refused = stack.notp("eve", {"sources", "refresh", "logout"});
  CHECK(refused.error_code() == "not_found");
}

TEST_CASE("what is wrong with a provider is said with what to do, and never with a secret") {
  Site site;
  site.provider.fail();
  const CliResult failed = site.refresh();
  CHECK(failed.status != 0);
  const json::value late = printed(failed);
  CHECK(text_at(late, "state") == "late");
  CHECK_FALSE(text_at(late, "error.code").empty());
  CHECK(text_at(late, "advice").contains("v1"));
  CHECK(number_at(late, "version") == 1);

  json::object leaked = public_jwk(3);
  leaked["d"] = "bm90LWZvci1hbnlvbmU";
  site.provider.serve({{"keys", json::array{public_jwk(1), leaked}}});
  const CliResult suspect = site.refresh();
  CHECK(suspect.status != 0);
  CHECK(text_at(printed(suspect), "state") == "suspect");
  CHECK(text_at(printed(suspect), "error.message").contains("\"d\""));
  CHECK_FALSE((suspect.output + suspect.error).contains("bm90LWZvci1hbnlvbmU"));
  CHECK(number_at(site.source(), "version") == 1);
  CHECK(site.source().at("kids") == json::array{"key-1"});

  site.provider.serve({{"keys", json::array{public_jwk(1)}}});
  CHECK(site.refresh().status == 0);
  CHECK(site.becomes(1));
}

TEST_CASE("who may not publish the ledger of keys has nothing fetched") {
  Site site;
  Stack& stack = site.stack;
  stack.rights = {json::object{
      {"identity", "admin/*"}, {"ledgers", json::array{"*/*"}}, {"actions", json::array{"read"}}}};
  stack.write_registry_config();
  stack.reload_registry();
  CHECK(stack.notp("eve", {"sources", "list"}).status == 0);
  CHECK(stack.notp("eve", {"sources", "refresh", "login"}).error_code() == "denied");

  // Nor does it see what it may not read.
  stack.rights = {};
  stack.write_registry_config();
  stack.reload_registry();
  const CliResult none = stack.notp("eve", {"sources", "list"});
  CHECK(none.document.at("sources").as_array().empty());
  CHECK(stack.notp("eve", {"sources", "show", "login"}).error_code() == "not_found");
}

TEST_CASE("a registry without sources says that it has none") {
  Stack stack;
  stack.start_registry();
  const CliResult none = stack.notp("eve", {"sources", "list"});
  REQUIRE_MESSAGE(none.status == 0, none.error);
  CHECK(none.document.at("sources").as_array().empty());
}

}  // namespace
}  // namespace notp
