// Keys of real TLS servers, published through the real pipeline into real Git.
#include <doctest/doctest.h>

#include "common/crypto/x509.hpp"
#include "notp-server/sources/document.hpp"
#include "notp-server/sources/issuer_limits.hpp"
#include "notp-server/sources/sources.hpp"
#include "protocol/trust/verify.hpp"
#include "tests/support/process/process.hpp"
#include "tests/support/registry/publish_place.hpp"
#include "tests/support/registry/tls_provider.hpp"

namespace notp::sources {
namespace {

using wire::IssuerState;

constexpr uint8_t kSourceKey = 9;
const model::LedgerId kKeys{samples::kLedger.zone, "keys"};
const std::string kA = key(kEd, R"("kid":"a")"), kB = key(kEc, R"("kid":"b")");

trust::Root root_of(std::initializer_list<uint8_t> keys, uint32_t threshold = 1) {
  trust::Root root = samples::root();
  root.delegations = {
      {kKeys.text(), samples::public_keys(keys), threshold, trust::ContentRule::kKeys},
      {"*/*", samples::public_keys({2}), 1}};
  return root;
}

// A registry's folder with its pipeline, and the sources that publish to it. Sources end and begin
// as with restarts of the registry.
struct Site {
  Site() : place(data.path()) {
    place.set_root(root_of({kSourceKey}));
    must(write_file(key_file(), samples::key(kSourceKey).to_pem(), 0600));
  }
  ~Site() { stop(); }

  fs::path key_file() const { return data.path() / "source.key"; }
  IssuerConfig issuer(const TlsProvider& provider, std::string name = "login") {
    return {.name = std::move(name),
            .ledger = kKeys,
            .terms = {.urls = {.issuer = provider.issuer(), .hosts = {}}, .algorithms = {}},
            .ca = pki.authorities(),
            .pins = {}};
  }
  void start(std::vector<IssuerConfig> issuers) {
    stop();
    sources = must(Sources::open(
        {.key = key_file(), .terms = terms, .issuers = std::move(issuers)},
        {.registry = *place.registry, .root = [this] { return place.root; }, .environment = {}}));
    sources->start({.publish =
                        [this](publish::PublishAttempt attempt) {
                          ++attempts;
                          if (before_publish) before_publish();
                          return place.pipeline.handle(std::move(attempt));
                        },
                    .statuses_changed = [this] { ++told; }});
  }
  void stop() {
    if (sources) sources->stop();
    sources.reset();
  }

  wire::SourceRow row(const std::string& name = "login") const {
    const wire::SourcesPage page = sources->page(name, [](const model::LedgerId&) { return true; });
    REQUIRE(page.rows.size() == 1);
    return page.rows[0];
  }
  IssuerState state(const std::string& name = "login") const { return row(name).status.state; }
  uint64_t version() const {
    const auto head = place.registry->head(kKeys);
    return head ? head->release.version : 0;
  }
  // Waits until a fetch of this process has ended, and what it brought was published.
  void becomes(IssuerState state, uint64_t version, const std::string& name = "login") const {
    REQUIRE_MESSAGE(wait_until([&] {
                      const wire::SourceRow now = row(name);
                      return now.fetches > 0 && now.status.state == state &&
                             (state != IssuerState::kOk || now.version == version);
                    }),
                    row(name).message);
    CHECK(this->version() == version);
  }
  std::string document(const std::string& name = "login") {
    const auto snapshot = place.registry->snapshot(kKeys, version()).value();
    const model::FileEntry* const entry = snapshot->content.tree->find(key_set_path(name));
    return entry == nullptr ? "" : **snapshot->content.loader()(entry->hash);
  }
  void unknown_key(const std::string& issuer, const std::string& kid) const {
    sources->unknown_key({}, {issuer, kid});
  }

  TemporaryFolder data;
  TestPki pki;
  publish::Place place;
  ReleaseTerms terms;
  std::unique_ptr<Sources> sources;
  std::function<void()> before_publish;
  std::atomic<int> attempts = 0, told = 0;
};

TEST_CASE("keys arrive as a signed release in Git, follow rotations, and equal sets make none") {
  Site site;
  TlsProvider provider(site.pki);
  provider.serves(set_of(kA), {{"ETag", "\"1\""}, {"Cache-Control", "no-cache"}});
  site.start({site.issuer(provider)});
  CHECK(site.state() == IssuerState::kLate);
  site.becomes(IssuerState::kOk, 1);
  CHECK(site.document() == accept_key_set(set_of(kA), provider.issuer())->document);
  CHECK(site.row().kids == std::vector<std::string>{"a"});
  CHECK(site.row().jwks_uri == provider.issuer() + "/keys");
  CHECK(site.row().code == 0);
  CHECK(site.sources->issuers()->issuers.at(0).state == IssuerState::kOk);
  CHECK(site.told >= 1);

  // As a node verifies it, and as stock Git shows it.
  const auto head = site.place.registry->head(kKeys);
  CHECK(samples::verify_alone(head->envelope, samples::trusting(*site.place.root),
                              read_clock().wall_ms, kKeys));
  CHECK(head->publisher == "spiffe://core-platform.internal/registry/sources");
  CHECK(head->release.data_roots == std::vector<std::string>{"keys/login"});
  CHECK(git_line(repository_of(site.data.path(), kKeys), {"show", "main:keys/login/data.json"}) +
            "\n" ==
        site.document());

  // A new key comes because a node does not know it, at once; the known one is not asked for.
  provider.serves(set_of(kA + "," + kB), {{"ETag", "\"2\""}});
  site.unknown_key(provider.issuer(), "a");
  site.unknown_key("https://other.example", "b");
  site.unknown_key(provider.issuer(), "b");
  REQUIRE(wait_until([&] { return site.row().version == 2; }));
  CHECK(provider.fetches() == 2);
  CHECK(site.row().kids == std::vector<std::string>{"a", "b"});
  CHECK(site.place.registry->head(kKeys)->message == "keys of login: +b");
  CHECK(site.row().unknown_keys == 2);

  // An administrator's fetch: not changed, no release.
  CHECK(site.sources->refresh(kKeys, "login").error().code == ErrorCode::kOverloaded);
  REQUIRE(wait_until([&] { return site.sources->refresh(kKeys, "login").has_value(); }));
  REQUIRE(wait_until([&] { return provider.unchanged() == 1 && site.row().fetches == 3; }));
  CHECK(site.sources->refresh(kKeys, "staff").error().code == ErrorCode::kNotFound);

  // After a restart the same set is fetched whole, and makes no release; a key that is gone goes.
  site.start({site.issuer(provider)});
  site.becomes(IssuerState::kOk, 2);
  CHECK(provider.fetches() == 4);
  CHECK(site.attempts == 2);
  provider.serves(set_of(kB));
  site.start({site.issuer(provider)});
  site.becomes(IssuerState::kOk, 3);
  CHECK_FALSE(site.document().contains("\"a\""));
  check_fsck(repository_of(site.data.path(), kKeys));
}

TEST_CASE("what is refused leaves the keys as they are: empty sets, private keys, other issuers") {
  Site site;
  TlsProvider provider(site.pki);
  provider.serves(set_of(kA));
  site.start({site.issuer(provider)});
  site.becomes(IssuerState::kOk, 1);
  const std::string document = site.document();
  for (const std::string& set :
       {set_of(""), std::string("{"), set_of(key(kEd, R"("d":"c2VjcmV0")"))}) {
    provider.serves(set);
    site.start({site.issuer(provider)});
    site.becomes(IssuerState::kSuspect, 1);
    CHECK(site.document() == document);
    CHECK(site.row().kids == std::vector<std::string>{"a"});  // of the head
    CHECK(site.row().version == 1);
    CHECK_FALSE(site.row().message.contains("c2VjcmV0"));
  }
  provider.serves(set_of(kB));
  provider.discovers(R"({"issuer":"https://evil.example","jwks_uri":"https://evil.example/keys"})");
  site.start({site.issuer(provider)});
  site.becomes(IssuerState::kSuspect, 1);
  provider.discovers(provider.good_discovery());
  REQUIRE(wait_until([&] { return site.sources->refresh(kKeys, "login").has_value(); }));
  site.becomes(IssuerState::kOk, 2);
}

TEST_CASE("a provider that hangs delays neither another one of its ledger nor the end") {
  Site site;
  TlsProvider slow(site.pki), quick(site.pki);
  slow.hangs(true);
  slow.serves(set_of(kA));
  quick.serves(set_of(kB));
  site.start({site.issuer(quick, "quick"), site.issuer(slow, "slow")});
  REQUIRE(wait_until([&] { return slow.waiting() == 1; }));
  site.becomes(IssuerState::kOk, 1, "quick");
  quick.serves(set_of(kA + "," + kB));
  site.unknown_key(quick.issuer(), "a");
  REQUIRE(wait_until([&] { return site.version() == 2; }));
  // All of this while the first fetch of the other is still under way.
  CHECK(site.row("slow").fetches == 0);
  CHECK(site.document("slow").empty());
  slow.hangs(false);
  site.becomes(IssuerState::kOk, 3, "slow");
  CHECK(site.document("quick").contains("\"a\""));
  CHECK(site.place.registry->head(kKeys)->release.data_roots ==
        std::vector<std::string>{"keys/quick", "keys/slow"});
  // One that is configured no more goes with the next release.
  slow.hangs(true);
  quick.serves(set_of(kB));
  site.start({site.issuer(quick, "quick")});
  site.becomes(IssuerState::kOk, 4, "quick");
  CHECK(site.place.registry->head(kKeys)->release.data_roots ==
        std::vector<std::string>{"keys/quick"});
  // The end does not wait for an answer.
  site.start({site.issuer(slow, "slow")});
  REQUIRE(wait_until([&] { return slow.waiting() == 2; }));
  const TimeMs begun_ms = read_clock().boot_ms;
  site.stop();
  CHECK(read_clock().boot_ms - begun_ms < limits::kSourceFetchMs);
}

TEST_CASE("names, authorities, pins and redirects: nobody else is asked or believed") {
  Site site;
  TlsProvider provider(site.pki);
  provider.serves(set_of(kA));
  const auto refused = [&](const IssuerConfig& issuer) {
    site.start({issuer});
    REQUIRE(wait_until([&] { return site.row().fetches == 1; }));
    CHECK(site.state() == IssuerState::kLate);
    CHECK(site.version() == 0);
    return site.row();
  };
  const auto untrusted = static_cast<uint32_t>(ErrorCode::kCertificateUntrusted);

  IssuerConfig pinned = site.issuer(provider);
  pinned.pins = {must(http::parse_pin("sha256//47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="))};
  const wire::SourceRow shown = refused(pinned);
  CHECK(shown.code == untrusted);
  CHECK(provider.fetches() == 0);

  TestPki other;
  IssuerConfig stranger = site.issuer(provider);
  stranger.ca = other.authorities();
  CHECK(refused(stranger).code == untrusted);

  TlsProvider misnamed(site.pki, "127.0.0.2");
  misnamed.serves(set_of(kA));
  CHECK(refused(site.issuer(misnamed)).code == untrusted);

  provider.answers("/keys", {.status = 302, .headers = {{"Location", "/elsewhere"}}, .body = {}});
  provider.answers("/elsewhere", {.body = set_of(kA)});
  CHECK(refused(site.issuer(provider)).message.contains("redirect"));

  // The refusal names the pin of the key that was shown: with it the keys come.
  provider.serves(set_of(kA));
  const size_t at = shown.message.find("sha256//");
  REQUIRE(at != std::string::npos);
  pinned.pins.push_back(must(http::parse_pin(shown.message.substr(at, 8 + 44))));
  site.start({pinned});
  site.becomes(IssuerState::kOk, 1);
}

TEST_CASE("an answer that drips is given up after five seconds") {
  Site site;
  boost::asio::io_context context;
  boost::asio::ip::tcp::acceptor acceptor(context, {boost::asio::ip::address_v4::loopback(), 0});
  std::thread dripping([&] {
    boost::system::error_code error;
    auto socket = acceptor.accept(error);
    for (int i = 0; i < 1'000'000 && !error; ++i) {
      boost::asio::write(
          socket, boost::asio::buffer(std::string(i == 0 ? "HTTP/1.1 200 OK\r\nX: " : "x")), error);
      boost::asio::steady_timer(context, std::chrono::milliseconds(20)).wait();
    }
  });
  const uint16_t port = acceptor.local_endpoint().port();
  IssuerConfig issuer{.name = "login",
                      .ledger = kKeys,
                      .terms = {.urls = {.issuer = fmt::format("http://127.0.0.1:{}", port),
                                         .hosts = {},
                                         .insecure_loopback = true},
                                .algorithms = {}},
                      .ca = {},
                      .pins = {}};
  site.start({issuer});
  REQUIRE(wait_until([&] { return site.row().fetches == 1; }));
  CHECK(site.state() == IssuerState::kLate);
  CHECK(site.row().code == static_cast<uint32_t>(ErrorCode::kTimeout));
  dripping.join();
}

TEST_CASE("a head that a person publishes in between is built upon") {
  Site site;
  site.place.set_root(root_of({2, kSourceKey}));
  TlsProvider provider(site.pki);
  provider.serves(set_of(kA));
  site.before_publish = [&, done = false]() mutable {
    if (std::exchange(done, true)) return;
    const auto persons = make_keys_content(nullptr, {{"login", R"({"keys":[]})"}});
    samples::Texts texts;
    for (const auto& [path, entry] : persons->content.tree->files())
      texts[path] = **persons->content.loader()(entry.hash);
    const auto outcome = publish::publish_proposal(
        site.place, publish::propose(site.place, texts, kKeys), {2}, false);
    CHECK_MESSAGE(outcome.published, outcome.result.message);
  };
  site.start({site.issuer(provider)});
  site.becomes(IssuerState::kOk, 2);
  CHECK(site.attempts == 2);
  CHECK(site.document().contains("\"a\""));
}

TEST_CASE("nothing is published where the root does not let the source key alone do so") {
  Site site;
  TlsProvider provider(site.pki);
  provider.serves(set_of(kA));
  trust::Root bare = samples::root();
  bare.delegations = {{"1*/other", samples::public_keys({kSourceKey}), 1}};
  for (const trust::Root& root : {root_of({2, 3}), root_of({2, kSourceKey}, 2), bare}) {
    site.place.set_root(root);
    site.start({site.issuer(provider)});
    REQUIRE(wait_until([&] { return site.row().code != 0; }));
    CHECK(site.row().code == static_cast<uint32_t>(ErrorCode::kSignature));
    CHECK(site.row().message.contains("root v1"));
    CHECK(site.state() == IssuerState::kLate);
  }
  CHECK(site.attempts == 0);
  CHECK(site.version() == 0);
  // The next root does, and the keys come at once.
  site.place.set_root(root_of({kSourceKey}));
  site.sources->root_changed();
  site.becomes(IssuerState::kOk, 1);
}

TEST_CASE("a root with another source key has the same keys signed again, once") {
  Site site;
  TlsProvider provider(site.pki);
  provider.serves(set_of(kA));
  site.start({site.issuer(provider)});
  site.becomes(IssuerState::kOk, 1);
  const std::string document = site.document();
  // Without a release by the new key no node could vouch for the keys any more.
  must(write_file(site.key_file(), samples::key(kSourceKey + 1).to_pem(), 0600));
  site.place.set_root(root_of({kSourceKey + 1}));
  site.sources->root_changed();
  REQUIRE(wait_until([&] { return site.version() == 2; }));
  CHECK(samples::verify_alone(site.place.registry->head(kKeys)->envelope,
                              samples::trusting(*site.place.root), read_clock().wall_ms, kKeys));
  CHECK(site.document() == document);
  CHECK(provider.fetches() == 1);
  // Nor does it wait for a change at the provider when the registry was away at that time.
  must(write_file(site.key_file(), samples::key(kSourceKey).to_pem(), 0600));
  site.stop();
  site.place.set_root(root_of({kSourceKey}));
  site.start({site.issuer(provider)});
  site.becomes(IssuerState::kOk, 3);
  site.start({site.issuer(provider)});
  site.becomes(IssuerState::kOk, 3);
  CHECK(site.attempts == 3);
}

TEST_CASE("other terms in the configuration are those of the next release, which comes at once") {
  Site site;
  TlsProvider provider(site.pki);
  provider.serves(set_of(kA));
  site.start({site.issuer(provider)});
  site.becomes(IssuerState::kOk, 1);
  site.terms.expire_after_s *= 30;
  site.start({site.issuer(provider)});
  site.becomes(IssuerState::kOk, 2);
  CHECK(site.place.registry->head(kKeys)->release.hard_s == site.terms.expire_after_s);
}

TEST_CASE("a token endpoint that answers anything else casts no doubt on the provider's keys") {
  Site site;
  TlsProvider provider(site.pki);
  provider.serves(set_of(kA));
  IssuerConfig issuer = site.issuer(provider);
  const fs::path secret = site.data.path() / "secret";
  must(write_file(secret, "hush", 0600));
  issuer.auth = oauth::ClientAuthConfig{.client_id = "registry",
                                        .token_endpoint = provider.issuer() + "/token",
                                        .secret_file = secret};
  for (const std::string& answer : {std::string("<html>"), std::string(40'000, ' ')}) {
    provider.answers("/token", {.body = answer});
    site.start({issuer});
    REQUIRE(wait_until([&] { return site.row().fetches == 1; }));
    CHECK(site.row().message.starts_with("access token: "));
    CHECK(site.state() == IssuerState::kLate);
  }
  // The key set itself does.
  provider.answers("/token", {.body = R"({"access_token":"t","token_type":"Bearer"})"});
  provider.serves("<html>");
  site.start({issuer});
  site.becomes(IssuerState::kSuspect, 0);
}

TEST_CASE("a ledger with anything else keeps it") {
  Site site;
  trust::Root root = samples::root();
  root.delegations = {{"*/*", samples::public_keys({2, kSourceKey}), 1}};
  site.place.set_root(root);
  const auto persons = publish::publish_proposal(
      site.place, publish::propose(site.place, publish::policy(1), kKeys), {2}, false);
  REQUIRE_MESSAGE(persons.published, persons.result.message);
  TlsProvider provider(site.pki);
  provider.serves(set_of(kA));
  site.start({site.issuer(provider)});
  REQUIRE(wait_until([&] { return site.row().code != 0; }));
  CHECK(site.row().code == static_cast<uint32_t>(ErrorCode::kConfig));
  CHECK(site.row().message.contains("policies/allow.rego"));
  CHECK(site.attempts == 0);
  CHECK(site.version() == 1);
}

TEST_CASE("a page has the sources of the ledgers that the caller may see") {
  Site site;
  TlsProvider provider(site.pki);
  provider.serves(set_of(kA));
  IssuerConfig other = site.issuer(provider, "other");
  other.ledger.name = "others";
  site.start({site.issuer(provider), other});
  const auto names = [&](const std::string& name, const std::string& ledger) {
    std::string out;
    for (const wire::SourceRow& row :
         site.sources->page(name, [&](const model::LedgerId& id) { return id.name == ledger; })
             .rows)
      out += row.status.name + " ";
    return out;
  };
  CHECK(names("", "keys") == "login ");
  CHECK(names("", "others") == "other ");
  CHECK(names("login", "others").empty());
  CHECK(names("", "payments").empty());
}

TEST_CASE("every hostile answer is refused by its name when a real server gives it") {
  TestPki pki;
  TlsProvider provider(pki);
  IssuerCalls calls(must(http::Client::open(
      {.tls = {.authorities = pki.authorities()}, .proxy = {}, .environment = {}})));
  const FetchTerms terms{.urls = {.issuer = provider.issuer(), .hosts = {}}, .algorithms = {}};
  const auto rule = [&] {
    const auto fetched = fetch_keys(
        terms, {}, [&](http::Call call) { return calls.call(std::move(call)); },
        [] { return read_clock().boot_ms; });
    return fetched ? "accepted" : std::string(rule_of(fetched.error()));
  };
  provider.serves(set_of(kA));
  REQUIRE(rule() == "accepted");
  for (const HostileAnswer& hostile : hostile_key_sets()) {
    CAPTURE(hostile.what);
    provider.serves(hostile.document);
    CHECK(rule() == hostile.rule);
  }
  provider.serves(set_of(kA));
  for (const HostileAnswer& hostile : hostile_discoveries(provider.issuer())) {
    CAPTURE(hostile.what);
    provider.discovers(hostile.document);
    CHECK(rule() == hostile.rule);
  }
}

}  // namespace
}  // namespace notp::sources
