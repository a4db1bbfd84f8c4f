// The keys of a token service with real files: what a kill leaves, what is served, what a restart
// finds.
#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <cstdlib>

#include "common/jose/key_set.hpp"
#include "common/storage/files.hpp"
#include "notp-client/txn/keys/documents.hpp"
#include "notp-client/txn/keys/key_ring.hpp"
#include "notp-client/txn/keys/ring_state.hpp"
#include "tests/support/process/command.hpp"
#include "tests/support/temporary_folder.hpp"

namespace notp::txn {
namespace {

namespace fs = std::filesystem;

const model::LedgerId kKeys{273165098782, "keys"};
constexpr TimeMs kHourMs = 3'600'000;

// A ring, and a registry that publishes what it serves when it is told to.
struct Service {
  boost::asio::io_context context;
  std::vector<wire::Request> asked;
  std::vector<std::string> hints;
  std::shared_ptr<KeyRing> ring;
  uint64_t version = 0;

  explicit Service(const fs::path& folder, TimeMs rotate_ms = kHourMs) {
    auto opened = KeyRing::open(context.get_executor(),
                                {.folder = folder, .ledger = kKeys, .rotate_ms = rotate_ms},
                                {.ask =
                                     [this](const wire::Request& request) {
                                       asked.push_back(request);
                                       return true;
                                     },
                                 .hint = [this](const std::string& kid) { hints.push_back(kid); }});
    REQUIRE_MESSAGE(opened.has_value(), (opened ? "" : opened.error().message));
    ring = *std::move(opened);
  }
  ~Service() { ring->stop(); }

  void poll() {
    context.restart();
    context.poll();
  }
  void start() {
    ring->start();
    poll();
  }
  std::set<std::string, std::less<>> served() const {
    std::set<std::string, std::less<>> out;
    const auto keys = jose::KeySet::parse(ring->jwks());
    REQUIRE(keys.has_value());
    for (const jose::PublicJwk& key : keys->keys()) out.insert(key.kid());
    return out;
  }
  void publish() {
    ring->on_active({++version, kHourMs, served()});
    poll();
  }
  void acknowledge(wire::ReleaseStatus status) {
    REQUIRE_FALSE(asked.empty());
    ring->on_answer({asked.back().request, 0, {}, status});
    poll();
  }
  void put_in_use() {
    start();
    publish();
    acknowledge({2, 2, 2, 0});
    REQUIRE(ring->current() != nullptr);
  }
  std::string state_of(const std::string& kid) const {
    for (const json::value& key : ring->list())
      if (key.at("kid").as_string() == kid) return std::string(key.at("state").as_string());
    return "";
  }
};

std::vector<std::string> files_in(const fs::path& folder) {
  std::vector<std::string> out;
  for (const auto& entry : fs::directory_iterator(folder)) out.push_back(entry.path().filename());
  std::ranges::sort(out);
  return out;
}

TEST_CASE(
    "a key signs once nodes have acknowledged it, and its private part is the owner's alone") {
  const TemporaryFolder folder;
  Service service(folder.path() / "keys");
  CHECK(service.ring->current() == nullptr);
  service.start();
  REQUIRE(service.served().size() == 1);
  const std::string kid = *service.served().begin();
  CHECK(service.state_of(kid) == "prepared");
  REQUIRE(service.hints.size() == 1);
  CHECK(service.hints[0] == kid);
  struct stat file{};
  REQUIRE(::stat((folder.path() / "keys" / (kid + ".pem")).c_str(), &file) == 0);
  CHECK((file.st_mode & 0777) == 0600);

  service.publish();
  CHECK(service.ring->current() == nullptr);
  REQUIRE(service.asked.size() == 1);
  const auto& question = std::get<wire::ReleaseStatusRequest>(service.asked[0].what);
  CHECK(question.ledger == kKeys);
  CHECK(question.version == 1);
  SUBCASE("not before all of them") {
    service.acknowledge({3, 2, 1, 0});
    CHECK(service.ring->current() == nullptr);
  }
  SUBCASE("not before one that was cut off is back, or has been away for long") {
    service.acknowledge({3, 2, 2, 1});
    CHECK(service.ring->current() == nullptr);
  }
  SUBCASE("an answer to another question counts for nothing") {
    service.ring->on_answer({service.asked[0].request + 1, 0, {}, wire::ReleaseStatus{2, 2, 2, 0}});
    CHECK(service.ring->current() == nullptr);
  }
  SUBCASE("nodes that are offline do not count") {
    service.acknowledge({9, 2, 2, 0});
    REQUIRE(service.ring->current() != nullptr);
    const RingKeyPtr key = service.ring->current();
    CHECK(key->kid == kid);
    // What it signs verifies with what is served.
    const auto token =
        jose::sign_token({{"typ", "txntoken+jwt"}, {"kid", kid}}, {{"sub", "ada"}}, key->key);
    REQUIRE(token.has_value());
    const auto keys = jose::KeySet::parse(service.ring->jwks());
    const size_t end = token->rfind('.');
    const auto signature = key->key.sign(token->substr(0, end));
    REQUIRE(signature.has_value());
    REQUIRE(keys->candidates(kid, jose::Algorithm::kEs256).size() == 1);
    CHECK(keys->candidates(kid, jose::Algorithm::kEs256)[0]
              ->verify(jose::Algorithm::kEs256, token->substr(0, end), *signature)
              .has_value());
    // A spare is there at once.
    CHECK(service.served().size() == 2);
  }
}

TEST_CASE(
    "a restart goes on with the key in use, and publishes the spare again before it is used") {
  const TemporaryFolder folder;
  const fs::path keys = folder.path() / "keys";
  std::string kid, spare;
  {
    Service service(keys);
    service.put_in_use();
    kid = service.ring->current()->kid;
    service.publish();
    for (const std::string& each : service.served())
      if (each != kid) spare = each;
    CHECK(service.state_of(spare) == "published");
  }
  Service service(keys);
  REQUIRE(service.ring->current() != nullptr);
  CHECK(service.ring->current()->kid == kid);
  CHECK(service.state_of(spare) == "prepared");
  // The key in use is lost: nothing signs until the spare was seen in a release, and acknowledged.
  service.start();
  REQUIRE(service.ring->revoke(kid).has_value());
  CHECK(service.ring->current() == nullptr);
  service.publish();
  CHECK(service.ring->current() == nullptr);
  service.acknowledge({1, 1, 1, 0});
  REQUIRE(service.ring->current() != nullptr);
  CHECK(service.ring->current()->kid == spare);
}

TEST_CASE("a revoked key is gone from the key set and the disk, and a spare that is ready signs") {
  const TemporaryFolder folder;
  const fs::path keys = folder.path() / "keys";
  std::string kid;
  {
    Service service(keys);
    service.put_in_use();
    kid = service.ring->current()->kid;
    service.publish();
    service.acknowledge({2, 2, 2, 0});
    CHECK(service.ring->current()->kid == kid);
    const RingKeyPtr held = service.ring->current();
    REQUIRE(service.ring->revoke(kid).has_value());
    REQUIRE(service.ring->current() != nullptr);
    CHECK(service.ring->current()->kid != kid);
    CHECK_FALSE(service.served().contains(kid));
    CHECK_FALSE(fs::exists(keys / (kid + ".pem")));
    CHECK(service.ring->revoke(kid).error().code == ErrorCode::kNotFound);
  }
  const Service service(keys);
  CHECK_FALSE(service.served().contains(kid));
}

TEST_CASE("a retired key that is revoked leaves the release soon: the registry gets hints for it") {
  const TemporaryFolder folder;
  Service service(folder.path() / "keys", 1);
  service.put_in_use();
  const std::string kid = service.ring->current()->kid;
  const TimeMs used_ms = read_clock().boot_ms;
  service.publish();
  while (read_clock().boot_ms <= used_ms + 1) continue;
  service.start();
  service.acknowledge({2, 2, 2, 0});
  REQUIRE(service.state_of(kid) == "retired");
  service.publish();
  const auto known = service.served();
  REQUIRE(known.contains(kid));
  service.hints.clear();
  REQUIRE(service.ring->revoke(kid));
  service.poll();
  REQUIRE_FALSE(service.hints.empty());
  // Not a name that the registry knows: it would fetch nothing.
  CHECK_FALSE(known.contains(service.hints.front()));
  CHECK(service.hints.front().starts_with(kid));
}

TEST_CASE("hints for a revoked key last until this node decides without it") {
  const Now start{.wall_ms = 1'800'000'000'000, .boot_ms = 1'000'000};
  const auto later = [&](TimeMs ms) {
    return Now{.wall_ms = start.wall_ms + ms, .boot_ms = start.boot_ms + ms};
  };
  const auto kid = [](char c) { return std::string(42, c) + "A"; };
  RingCore core({.rotate_ms = kHourMs},
                {{kid('r'), "ES256", KeyState::kRetired, 1, 2, start.wall_ms},
                 {kid('u'), "ES256", KeyState::kInUse, 1, start.wall_ms, 0},
                 {kid('s'), "ES256", KeyState::kPublished, 1, 0, 0}},
                start);
  core.on_active({1, kHourMs, {kid('r'), kid('u'), kid('s')}}, start);
  const auto hints = [&core] {
    size_t count = 0;
    for (const RingEffect& effect : core.take_effects())
      count += std::holds_alternative<ring_effect::Hint>(effect) ? 1 : 0;
    return count;
  };
  static_cast<void>(core.take_effects());
  REQUIRE(core.revoke(kid('r'), start));
  CHECK(hints() == 1);
  // Another release that has it: of a fetch that was under way.
  core.on_active({2, kHourMs, {kid('r'), kid('u'), kid('s')}}, later(1'000));
  CHECK(hints() == 0);
  CHECK(core.next_deadline() <= later(limits::kRingHintMs).boot_ms);
  core.on_deadline(later(limits::kRingHintMs));
  CHECK(hints() == 1);
  core.on_active({3, kHourMs, {kid('u'), kid('s')}}, later(limits::kRingHintMs + 1'000));
  core.on_deadline(later(3 * limits::kRingHintMs));
  CHECK(hints() == 0);
  // One that no release had: once, for a fetch that may be under way.
  core.on_made({kid('p'), "ES256", KeyState::kPrepared, 1, 0, 0}, later(3 * limits::kRingHintMs));
  static_cast<void>(core.take_effects());
  REQUIRE(core.revoke(kid('p'), later(4 * limits::kRingHintMs)));
  CHECK(hints() == 1);
  core.on_deadline(later(6 * limits::kRingHintMs));
  CHECK(hints() == 0);
}

constexpr const char* kWork = "the work of a process that is killed";

// The test below runs this program with it: it makes keys, and revokes one.
TEST_CASE("the work of a process that is killed" * doctest::skip()) {
  Service service(std::getenv("NOTP_TEST_KEYS"));
  service.start();
  service.publish();
  if (!service.asked.empty()) service.acknowledge({2, 2, 2, 0});
  service.publish();
  if (const RingKeyPtr key = service.ring->current())
    static_cast<void>(service.ring->revoke(key->kid));
}

TEST_CASE("whatever a kill leaves, each key has a record and a file, and none signs too early") {
  // Keys: the first one and a spare. Records: in use, revoked.
  const std::pair<std::string, int> points[] = {
      {"txn_key_recorded", 2}, {"txn_key_written", 2}, {"txn_keys_persisted", 2}};
  for (const auto& [point, passes] : points)
    for (int pass = 1; pass <= passes + 1; ++pass) {
      CAPTURE(point);
      CAPTURE(pass);
      const TemporaryFolder folder;
      const fs::path keys = folder.path() / "keys";
      const CommandResult child = run_command(
          {fs::read_symlink("/proc/self/exe").string(), "--no-skip", std::string("-tc=") + kWork},
          {{"NOTP_FAILPOINT", point + ":" + std::to_string(pass)}, {"NOTP_TEST_KEYS", keys}});
      const bool was_killed = child.status == 137;
      CHECK_MESSAGE((was_killed || child.status == 0), child.output);
      CHECK(was_killed == (pass <= passes));
      Service service(keys);
      const auto records = decode_records(*read_file(keys / "keys.json", 1 << 20));
      REQUIRE(records.has_value());
      const RingKeyPtr current = service.ring->current();
      size_t pems = 0;
      for (const std::string& name : files_in(keys))
        if (name.ends_with(".pem")) {
          ++pems;
          CHECK(service.served().contains(name.substr(0, name.size() - 4)));
        }
      CHECK(pems == service.served().size());
      if (current) CHECK(service.state_of(current->kid) == "in_use");
      service.start();
      CHECK(service.served().size() >= 1);
    }
}

TEST_CASE("records that were altered stop the start, and strangers in the folder go") {
  const TemporaryFolder folder;
  const fs::path keys = folder.path() / "keys";
  {
    Service(keys).start();
  }
  REQUIRE(write_file(keys / "someone.pem", "x").has_value());
  {
    const Service service(keys);
  }
  CHECK(files_in(keys).size() == 2);
  boost::asio::io_context context;
  const auto open = [&] {
    return KeyRing::open(context.get_executor(), {.folder = keys, .ledger = kKeys}, {});
  };
  for (const std::string_view text :
       {R"({"format":2,"keys":[]})", R"({"format":1})", "[]", "",
        R"({"format":1,"keys":[{"kid":"../../etc/passwd","alg":"ES256","state":"in_use"}]})"}) {
    REQUIRE(write_file(keys / "keys.json", text).has_value());
    const auto opened = open();
    REQUIRE_FALSE(opened.has_value());
    CHECK(opened.error().code == ErrorCode::kCorrupt);
  }
}

TEST_CASE("records survive their encoding") {
  const std::string kid(43, 'A');
  const std::vector<KeyRecord> records{
      {kid, "ES256", KeyState::kRetired, 1, 2, 3},
      {std::string(42, 'B') + "A", "EdDSA", KeyState::kInUse, 4, 5, 0}};
  const auto decoded = decode_records(encode_records(records));
  REQUIRE_MESSAGE(decoded.has_value(), (decoded ? "" : decoded.error().message));
  CHECK(*decoded == records);
  auto twice = records;
  twice.push_back(records[0]);
  CHECK_FALSE(decode_records(encode_records(twice)).has_value());
}

TEST_CASE("the metadata has what RFC 8414 requires") {
  const json::object document = metadata_document("https://tts.core-platform.internal:7446");
  CHECK(document.at("issuer") == "https://tts.core-platform.internal:7446");
  CHECK(document.at("jwks_uri") == "https://tts.core-platform.internal:7446/jwks");
  CHECK(document.at("token_endpoint") == "https://tts.core-platform.internal:7446/token");
  CHECK(document.at("response_types_supported").is_array());
}

}  // namespace
}  // namespace notp::txn
