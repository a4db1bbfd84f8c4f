// Certificates and handshakes that must not open a session, over real TLS to a real registry.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <functional>

#include "common/storage/files.hpp"
#include "protocol/wire/frame.hpp"
#include "tests/support/process/stack.hpp"
#include "tests/support/wire/raw_tls_client.hpp"
#include "tests/support/wire/test_pki.hpp"
#include "tests/support/wire/tls_client.hpp"

namespace notp {
namespace {

constexpr TimeMs kDayMs = 86'400'000;

// Presents a certificate and sends Hello, like a node.
class Intruder {
 public:
  explicit Intruder(Stack& stack) : stack_(stack) {
    client_.says = wire::encode_frame(
        wire::Hello{.versions = {wire::kProtocolVersion}, .user_agent = "intruder"});
  }

  RawTlsClient& client() { return client_; }
  void show(const std::string& stem) {
    client_.credential = transport::TlsFiles{stem + ".crt", stem + ".key", {}, {}};
  }

  // The registry logs one refusal with the code, opens no session and sends at most an Error with
  // that code.
  void is_refused(std::string_view event, std::string_view code) const {
    const size_t refused = stack_.count_events(event, code);
    const size_t opened = stack_.count_events("session_opened");
    const Bytes heard = client_.run(static_cast<uint16_t>(stack_.registry_port()));
    CHECK(wait_until([&] { return stack_.count_events(event, code) == refused + 1; }));
    CHECK(stack_.count_events("session_opened") == opened);
    if (heard.empty()) return;
    wire::FrameParser parser;
    parser.feed(heard);
    const auto message = parser.next();
    REQUIRE(message);
    REQUIRE(*message);
    const auto* error = std::get_if<wire::ErrorMessage>(&**message);
    REQUIRE(error != nullptr);
    CHECK(error_traits(error->code).name == code);
    CHECK_FALSE(parser.in_frame());
  }

 private:
  Stack& stack_;
  RawTlsClient client_;
};

struct Row {
  const char* name;
  std::function<void(pki::LeafOptions&)> bend;
  const char* code;
};

std::vector<Row> bent_leaves() {
  const TimeMs now = read_clock().wall_ms;
  const auto uri = [](std::string text) {
    return [text = std::move(text)](pki::LeafOptions& leaf) { leaf.uris = {text}; };
  };
  return {
      {"expired", [=](auto& leaf) { leaf.validity = {now - 2 * kDayMs, now - 1'000}; },
       "certificate_expired"},
      {"of the future", [=](auto& leaf) { leaf.validity = {now + kDayMs, now + 2 * kDayMs}; },
       "certificate_expired"},
      {"a CA as a leaf", [](auto& leaf) { leaf.is_ca = true; }, "identity"},
      {"two URIs", [](auto& leaf) { leaf.uris.push_back(test_uri("node", "b")); }, "identity"},
      {"the same URI twice", [](auto& leaf) { leaf.uris.push_back(leaf.uris[0]); }, "identity"},
      {"no URI", [](auto& leaf) { leaf.uris.clear(); }, "identity"},
      {"an e-mail address alone",
       [](auto& leaf) {
         leaf.uris.clear();
         leaf.emails = {"edge-1@core-platform.internal"};
       },
       "identity"},
      {"a URI as an e-mail address",
       [](auto& leaf) {
         leaf.uris.clear();
         leaf.emails = {test_uri("node", "edge-1")};
       },
       "identity"},
      {"the identity as the common name",
       [](auto& leaf) {
         leaf.uris.clear();
         leaf.common_name = test_uri("node", "edge-1");
       },
       "identity"},
      {"NUL in the name", uri(test_uri("node", std::string("edge\0-1", 7))), "identity"},
      {"NUL behind the name", uri(test_uri("node", std::string("edge-1\0", 7))), "identity"},
      {"an empty URI", uri(""), "identity"},
      {"another scheme", uri("https://core-platform.internal/node/edge-1"), "identity"},
      {"the scheme in capitals", uri("SPIFFE://core-platform.internal/node/edge-1"), "identity"},
      {"another trust domain", uri(test_uri("node", "edge-1", "evil.internal")), "identity"},
      {"a longer trust domain", uri(test_uri("node", "edge-1", "core-platform.internal.evil")),
       "identity"},
      {"the trust domain in capitals", uri(test_uri("node", "edge-1", "CORE-PLATFORM.internal")),
       "identity"},
      {"a user in the trust domain", uri(test_uri("node", "edge-1", "x@core-platform.internal")),
       "identity"},
      {"an unknown role", uri(test_uri("king", "a")), "identity"},
      {"a role in capitals", uri(test_uri("Admin", "eve")), "identity"},
      {"no name", uri(test_uri("node", "")), "identity"},
      {"two dots", uri(test_uri("node", "..")), "identity"},
      {"a path behind the name", uri(test_uri("node", "a/b")), "identity"},
      {"a way out of the role", uri(test_uri("node", "../admin/eve")), "identity"},
      {"percent signs", uri(test_uri("node", "%2e%2e")), "identity"},
      {"a query", uri(test_uri("node", "a?b")), "identity"},
      {"a line break", uri(test_uri("node", "a\n")), "identity"},
      {"a name of 129 bytes", uri(test_uri("node", std::string(129, 'a'))), "identity"},
      {"a URI of 60,000 bytes", uri(test_uri("node", std::string(60'000, 'a'))), "identity"},
      {"a server's purpose alone",
       [](auto& leaf) {
         leaf.server_auth = true;
         leaf.client_auth = false;
       },
       "certificate_untrusted"},
      {"no purpose", [](auto& leaf) { leaf.client_auth = false; }, "certificate_untrusted"},
  };
}

}  // namespace

TEST_CASE("a leaf that is wrong in any way opens no session") {
  Stack stack;
  stack.start_registry();
  for (const Row& row : bent_leaves()) {
    CAPTURE(row.name);
    pki::LeafOptions leaf = stack.leaf("node", "edge-1");
    row.bend(leaf);
    Intruder intruder(stack);
    intruder.show(stack.issue("bent", stack.authority(), leaf));
    intruder.is_refused("handshake_refused", row.code);
  }
  CHECK(stack.count_events("session_opened") == 0);
  CHECK(stack.notp("alice", {"ledgers"}).status == 0);
}

TEST_CASE("a chain that leads elsewhere, or takes too long, opens no session") {
  Stack stack;
  stack.start_registry();
  const auto validity = pki::Validity::days(read_clock().wall_ms, 10);
  const pki::Credential stranger = must(pki::make_authority("another CA", validity));
  // An authority with the same name, and another key.
  const pki::Credential namesake = must(pki::make_authority("core-platform.internal CA", validity));
  Intruder intruder(stack);
  const auto untrusted = [&](const pki::Credential& issuer) {
    intruder.show(stack.issue("chain", issuer, stack.leaf("node", "edge-1")));
    intruder.is_refused("handshake_refused", "certificate_untrusted");
  };
  untrusted(stranger);
  untrusted(namesake);
  // A node's leaf may not sign certificates.
  untrusted(must(pki::issue(stack.authority(), stack.leaf("node", "edge-2"))));

  pki::LeafOptions middle = stack.leaf("node", "middle");
  middle.is_ca = true;
  middle.client_auth = false;
  middle.uris.clear();
  pki::Credential issuer = stack.authority();
  for (int depth = 1; depth <= 50; ++depth) {
    issuer = must(pki::issue(issuer, middle));
    if (depth == 5 || depth == 50) untrusted(issuer);
  }
  // An expired intermediate invalidates a leaf that has not expired.
  middle.validity = {read_clock().wall_ms - 2 * kDayMs, read_clock().wall_ms - 1'000};
  intruder.show(stack.issue("late", must(pki::issue(stack.authority(), middle)),
                            stack.leaf("node", "edge-1")));
  intruder.is_refused("handshake_refused", "certificate_expired");
}

TEST_CASE("a handshake without certificate, TLS 1.3 or ALPN opens no session") {
  Stack stack;
  stack.start_registry();
  const std::string good = stack.issue("node", "edge-1");
  {
    Intruder nobody(stack);
    nobody.is_refused("handshake_refused", "no_certificate");
  }
  for (const int version : {TLS1_2_VERSION, TLS1_1_VERSION}) {
    Intruder old(stack);
    old.show(good);
    old.client().version = version;
    old.is_refused("handshake_refused", "tls");
  }
  for (const char* protocol : {"http/1.1", "notp/2", "notp-enroll/1"}) {
    Intruder other(stack);
    other.show(good);
    other.client().protocol = protocol;
    other.is_refused("handshake_refused", "tls");
  }
  Intruder mute(stack);
  mute.show(good);
  mute.client().alpn = false;
  mute.is_refused("handshake_refused", "tls");
}

TEST_CASE("a handshake that costs the registry more than its client is refused at once") {
  Stack stack;
  bool allows_p384 = false;
  SUBCASE("as it comes") {}
  SUBCASE("with P-384 by configuration") {
    allows_p384 = true;
    const std::string main = stack.file("pki/main").string();
    stack.registry_more["tls"] = json::object{{"certificate", main + ".crt"},
                                              {"key", main + ".key"},
                                              {"ca", stack.authority_file().string()},
                                              {"allow_p384", true}};
    stack.write_registry_config();
  }
  stack.start_registry();
  const std::string node = stack.issue("node", "edge-1");
  const auto is_taken = [&](const char* group) {
    return TlsClient(static_cast<uint16_t>(stack.registry_port()),
                     {.identity = transport::TlsFiles{node + ".crt", node + ".key", {}, {}},
                      .version = TLS1_3_VERSION,
                      .groups = group,
                      .alpn = "\x06notp/1"})
        .ok();
  };
  for (const char* group : {"ffdhe2048", "ffdhe8192", "X448", "P-521"})
    CHECK_MESSAGE(!is_taken(group), group);
  for (const char* group : {"X25519", "P-256"}) CHECK_MESSAGE(is_taken(group), group);
  CHECK(is_taken("P-384") == allows_p384);
}

TEST_CASE("a node's certificate that was renewed and then revoked opens no session") {
  Stack stack;
  stack.registry_more["deny_list"] = kDenyList;
  stack.write_registry_config();
  stack.start_registry();
  const std::string first = stack.issue("first", stack.authority(), stack.leaf("node", "edge-1"));
  const std::string renewed =
      stack.issue("renewed", stack.authority(), stack.leaf("node", "edge-1"));
  REQUIRE(stack.published(stack.write_deny_list({test_uri("node", "edge-1")}), kDenyList) == 1);
  for (const std::string& stem : {first, renewed}) {
    Intruder intruder(stack);
    intruder.show(stem);
    intruder.is_refused("session_refused", "revoked");
  }
}

}  // namespace notp
