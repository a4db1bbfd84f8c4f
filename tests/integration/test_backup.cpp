// Backups of a registry's folder: made while releases are published, checked after each kind of
// change, restored, and cut off at every step.
#include <fcntl.h>
#include <sys/file.h>

#include <atomic>
#include <csignal>
#include <fstream>
#include <functional>
#include <thread>

#include "common/descriptor.hpp"
#include "common/json/json.hpp"
#include "common/random.hpp"
#include "notp-server/registry/restored_mark.hpp"
#include "tests/support/process/process.hpp"
#include "tests/support/registry/backup_site.hpp"

namespace notp {
namespace {

using Files = std::map<std::string, std::string>;

void overwrite(const fs::path& file, const std::string& content) {
  std::ofstream(file, std::ios::binary | std::ios::trunc) << content;
}

// Of a database that BackupSite made.
std::string rows_of(const fs::path& file) {
  const auto database = open_database(file);
  REQUIRE(database);
  return (*database)->execAndGet("SELECT group_concat(a) FROM t").getString();
}

// The backup is refused by this name, and a restore has changed nothing.
void is_refused(const BackupSite& site, const std::string& words) {
  const fs::path into = site.folder.path() / "elsewhere";
  const auto restored = site.restore(into);
  REQUIRE_MESSAGE(!restored.has_value(), "restored, in spite of: " << words);
  CHECK_MESSAGE(restored.error().message.contains(words), restored.error().message);
  CHECK_FALSE(fs::exists(into));
}

// Publishes to two ledgers in turn, until it is told to stop.
struct Publisher {
  std::unique_ptr<registry::GitRegistry> registry;
  std::atomic<bool> ends = false;
  std::atomic<uint64_t> published = 0;
  std::thread thread;

  explicit Publisher(const fs::path& data) : registry(open(data)), thread([this] { run(); }) {}
  void run() {
    constexpr int kMost = 2'000;
    for (int step = 10; step < kMost && !ends; ++step) {
      const model::LedgerId& ledger = step % 2 == 0 ? kLedger : kSecondLedger;
      samples::Texts files = {{"manifest.json", "{}"}, {"a/data.json", fmt::format("[{}]", step)}};
      if (!registry->publish(next_release(ledger, registry->head(ledger), model_of(files)))) return;
      ++published;
    }
  }
  uint64_t head(const model::LedgerId& ledger) const {
    return registry->head(ledger)->release.version;
  }
  // The registry ends, too.
  void stop() {
    ends = true;
    if (thread.joinable()) thread.join();
    registry.reset();
  }
  ~Publisher() { stop(); }
};

TEST_CASE("releases that are published meanwhile are in the backup whole, or not at all") {
  uint64_t meanwhile = 0;
  for (int round = 0; round < 3; ++round) {
    const BackupSite site;
    site.publish();
    // An operator's references: publishes go on while they are read.
    const std::string commit = git_line(repository_of(site.data), {"rev-parse", "main"});
    for (int i = 0; i < 300; ++i)
      site.put(fmt::format("data/ledgers/{}.git/refs/own/{}", kLedger.text(), i), commit + "\n");
    Publisher publisher(site.data);
    REQUIRE(wait_until([&] { return publisher.published >= 10; }));
    const uint64_t before[] = {publisher.head(kLedger), publisher.head(kSecondLedger)};
    const uint64_t published = publisher.published;
    const auto made = site.back_up([&](const std::string& line) {
      if (!line.starts_with("ledger 273165098782/users")) return;
      meanwhile += publisher.published - published;
      publisher.stop();  // no registry runs while the databases are copied
    });
    REQUIRE_MESSAGE(made.has_value(), (made ? "" : made.error().message));
    REQUIRE(made->ledgers.size() == 2);
    CHECK(made->ledgers[0].version >= before[0]);
    CHECK(made->ledgers[1].version >= before[1]);
    for (const backup::LedgerHead& head : made->ledgers) {
      const fs::path copy = site.target / "ledgers" / (head.ledger.text() + ".git");
      check_fsck(copy);
      CHECK(git_line(copy, {"tag", "-l", fmt::format("v{}", head.version + 1)}).empty());
    }
    CHECK(site.check().has_value());
  }
  MESSAGE("published while ledgers were copied: " << meanwhile);
  CHECK(meanwhile > 0);
}

TEST_CASE("tags above main, of publishes that go on or were cut off, are left out") {
  const BackupSite site;
  site.publish();
  git_line(repository_of(site.data), {"update-ref", "refs/heads/main", "v1^{commit}"});
  const backup::Manifest made = site.backed_up();
  CHECK(made.ledgers.front().version == 1);
  CHECK(git_line(site.target / "ledgers" / (kLedger.text() + ".git"), {"tag", "-l"}) == "v1");
}

TEST_CASE("the registry's tree is in a backup, and its key where keys are asked for") {
  for (const bool with_keys : {false, true}) {
    CAPTURE(with_keys);
    const BackupSite site;
    site.publish();
    site.put("data/audit/tree.key", "the key of the tree");
    REQUIRE(site.back_up([](const std::string&) {}, with_keys));
    const fs::path into = site.folder.path() / "restored";
    REQUIRE(site.restore(into, with_keys));
    CHECK(rows_of(into / "audit/tree.db") == rows_of(site.data / "audit/tree.db"));
    CHECK(read_file(into / "audit/tree-0a.db.old", 100) == "an earlier tree");
    CHECK(fs::exists(into / "audit/tree.key") == with_keys);
    if (!with_keys) continue;
    CHECK(read_file(into / "audit/tree.key", 100) == "the key of the tree");
    CHECK((fs::status(into / "audit/tree.key").permissions() & fs::perms::all) ==
          (fs::perms::owner_read | fs::perms::owner_write));
  }
}

TEST_CASE("a restored folder has all that was there, except join tokens") {
  const BackupSite site;
  site.publish();
  const backup::Manifest made = site.backed_up();
  CHECK(made.root_version == 1);
  CHECK((fs::status(site.target).permissions() & fs::perms::all) == fs::perms::owner_all);
  const fs::path into = site.folder.path() / "elsewhere";
  fs::remove(site.folder.path() / "server.key");
  const auto restored = site.restore(into, /*with_keys=*/true);
  REQUIRE_MESSAGE(restored.has_value(), (restored ? "" : restored.error().message));
  CHECK(restored->join_tokens == 2);
  CHECK(restored->configured == std::vector<fs::path>{site.folder.path() / "server.key"});
  CHECK(read_file(site.folder.path() / "server.key", 100).value() == "the key");

  Files before = contents_below(site.data), after = contents_below(into);
  for (const char* changed :
       {"join-tokens.db", "registry.lock", "fleet.db", "audit/logs.db", "audit/tree.db"})
    before.erase(changed), after.erase(changed);
  CHECK(before.erase("pending/1/users/0b.json") == 1);
  // What the registry is told, and nothing else is new.
  CHECK(after.erase(registry::kRestoredMark) == 1);
  const auto mark = registry::read_restored_mark(into);
  REQUIRE(mark);
  REQUIRE(*mark);
  CHECK((*mark)->backup_made_ms == made.made_ms);
  CHECK((*mark)->restored_ms >= made.made_ms);
  CHECK((*mark)->root_version == 1);
  for (const char* copied : {"fleet.db", "audit/logs.db", "audit/tree.db"})
    CHECK(rows_of(into / copied) == rows_of(site.data / copied));
  for (auto& [path, content] : before)
    CHECK_MESSAGE((after.contains(path) || path.contains("/hooks/") || path.contains("/info/")),
                  path << " is missing");
  for (auto& [path, content] : after) CHECK_MESSAGE(before[path] == content, path);

  const auto registry = open(into);
  CHECK(registry->damaged().empty());
  for (uint64_t version = 1; version <= 3; ++version)
    check_same(**registry->snapshot(kLedger, version), texts(static_cast<int>(version)));
  check_fsck(repository_of(into));
  const auto tokens = enroll::JoinTokens::open(into / "join-tokens.db");
  REQUIRE(tokens.has_value());
  const auto used = (*tokens)->use(sha256("one"), sha256("key"), 1'500,
                                   [](const std::string&) { return Result<std::string>("c"); });
  REQUIRE_FALSE(used.has_value());
  CHECK(used.error().code == ErrorCode::kJoinRefused);
}

TEST_CASE("without keys there are none, and a link is the same file") {
  const BackupSite site;
  site.publish();
  const auto made = site.back_up([](const std::string&) {}, /*with_keys=*/false);
  REQUIRE(made.has_value());
  for (const auto& [path, facts] : made->files) CHECK_FALSE(path.starts_with("configuration"));
  CHECK(fs::equivalent(site.data / "audit/2026-01-01.db", site.target / "audit/2026-01-01.db"));
  for (const char* copied : {"audit/2026-01-02.db", "roots/1.envelope"})
    CHECK_FALSE(fs::equivalent(site.data / copied, site.target / copied));
}

TEST_CASE("one flipped bit of any file is named, and nothing is restored") {
  const BackupSite site;
  site.publish();
  site.backed_up();
  SeededRandom random(15);
  size_t flips = 0;
  for (const auto& [path, content] : contents_below(site.target)) {
    std::string changed = content;
    const size_t bit = random.below(changed.size() * 8);
    changed[bit / 8] = static_cast<char>(changed[bit / 8] ^ (1 << (bit % 8)));
    CAPTURE(bit);
    overwrite(site.target / path, changed);
    is_refused(site, path);
    overwrite(site.target / path, content);
    ++flips;
  }
  // The manifest itself, everywhere.
  const std::string manifest = read_file(site.target / backup::kManifestFile, 1 << 20).value();
  for (size_t bit = 0; bit < manifest.size() * 8; bit += 7) {
    std::string changed = manifest;
    changed[bit / 8] = static_cast<char>(changed[bit / 8] ^ (1 << (bit % 8)));
    const auto read = backup::Manifest::decode(changed);
    CHECK_MESSAGE(!read.has_value(), "bit " << bit << " of the manifest");
    ++flips;
  }
  MESSAGE("flipped bits: " << flips);
  CHECK(site.check().has_value());
}

TEST_CASE("what is missing, too much, of another domain or of a later format is refused") {
  const BackupSite site;
  site.publish();
  const backup::Manifest made = site.backed_up();
  for (const auto& [path, facts] : made.files) {
    fs::rename(site.target / path, site.folder.path() / "aside");
    is_refused(site, path + ": the file is missing");
    fs::rename(site.folder.path() / "aside", site.target / path);
  }
  site.put("backup/audit/2026-01-03.db", "");
  is_refused(site, "audit/2026-01-03.db: the file is not of this backup");
  fs::remove(site.target / "audit/2026-01-03.db");
  fs::create_symlink("/etc/passwd", site.target / "link");
  is_refused(site, "neither file nor folder");
  fs::remove(site.target / "link");

  const auto foreign = backup::check_backup(site.target, "other.internal", [](const auto&) {});
  REQUIRE_FALSE(foreign.has_value());
  CHECK(foreign.error().code == ErrorCode::kWrongTarget);
  CHECK(foreign.error().message.contains("core-platform.internal"));

  json::value later = parse_json(made.encode().value()).value();
  later.at("backup").as_object()["format"] = 2;
  later.as_object()["sha256"] = sha256(json::serialize(later.at("backup"))).hex();
  const auto read = backup::Manifest::decode(json::serialize(later));
  REQUIRE_FALSE(read.has_value());
  CHECK(read.error().code == ErrorCode::kVersion);
}

// Makes the manifest anew, as an attacker would after a change.
void seal(const BackupSite& site, backup::Manifest manifest) {
  manifest.files.clear();
  for (const auto& [path, content] : contents_below(site.target))
    if (path != backup::kManifestFile) manifest.files[path] = {content.size(), sha256(content)};
  overwrite(site.target / backup::kManifestFile, manifest.encode().value());
}

TEST_CASE("a manifest made anew does not make up for what was signed") {
  const BackupSite site;
  site.publish();
  backup::Manifest made = site.backed_up();
  const fs::path repository = site.target / "ledgers" / (kLedger.text() + ".git");
  SUBCASE("a missing pack") {
    for (const auto& [path, content] : contents_below(repository / "objects/pack"))
      if (path.ends_with(".pack")) {
        fs::remove(repository / "objects/pack" / path);
        fs::remove(repository / "objects/pack" / fs::path(path).replace_extension(".idx"));
        break;
      }
    seal(site, made);
    is_refused(site, kLedger.text());
  }
  SUBCASE("main is moved back") {
    git_line(repository, {"update-ref", "refs/heads/main", "v2^{commit}"});
    fs::remove(repository / "refs/tags/v3");
    seal(site, made);
    is_refused(site, "it ends with v2");
  }
  SUBCASE("a ledger is left out of the list") {
    made.ledgers.pop_back();
    seal(site, made);
    is_refused(site, "that the manifest does not name");
  }
  SUBCASE("another root") {
    trust::Root root = samples::root();
    root.root_keys = samples::public_keys({9});
    overwrite(site.target / "roots/1.envelope", samples::signed_by(root, {9}).encode());
    seal(site, made);
    is_refused(site, "root");
  }
  SUBCASE("a root under which the releases were not signed") {
    trust::Root root = samples::root();
    root.delegations = {{"*/*", samples::public_keys({3}), 1}};
    const Bytes envelope = samples::signed_by(root, {1}).encode();
    overwrite(site.target / "roots/1.envelope", envelope);
    site.put("root.envelope", envelope);
    seal(site, made);
    is_refused(site, kLedger.text());
  }
  SUBCASE("a database that is not healthy") {
    std::string content = read_file(site.target / "fleet.db", 1 << 20).value();
    content.resize(content.size() / 2);
    overwrite(site.target / "fleet.db", content);
    seal(site, made);
    is_refused(site, "fleet.db");
  }
  SUBCASE("a file that no registry backs up") {
    for (const char* path :
         {"registry.lock", "restore.unfinished", "copies/fleet.db", "fleet.db-wal"}) {
      site.put(fmt::format("backup/{}", path), "x");
      seal(site, made);
      is_refused(site, fmt::format("{}: no registry backs up such a file", path));
      fs::remove(site.target / path);
    }
  }
  SUBCASE("a path that leads out of the folder") {
    for (const char* path : {"../data/x", "/etc/x", "roots/../../x", "./x", "a//b", ""}) {
      made.files[path] = {};
      CHECK_FALSE(backup::Manifest::decode(made.encode().value()).has_value());
      made.files.erase(path);
    }
  }
}

TEST_CASE("of damaged data no backup is made, and the damage is named") {
  const BackupSite site;
  site.publish();
  std::string words;
  SUBCASE("a database") {
    std::string content = read_file(site.data / "audit/2026-01-01.db", 1 << 20).value();
    content.resize(content.size() / 2);
    overwrite(site.data / "audit/2026-01-01.db", content);
    words = "audit/2026-01-01.db";
  }
  SUBCASE("a ledger") {
    fs::remove(repository_of(site.data) / "refs/tags/v2");
    words = "payments.git";
  }
  SUBCASE("no roots") {
    fs::remove(site.data / "roots/1.envelope");
    words = "holds no root";
  }
  const auto made = site.back_up();
  REQUIRE_FALSE(made.has_value());
  CHECK_MESSAGE(made.error().message.contains(words), made.error().message);
  CHECK_FALSE(fs::exists(site.target));
  CHECK_FALSE(fs::exists(site.target.string() + ".unfinished"));
}

TEST_CASE("where a backup or a restore must not go, it says so and changes nothing") {
  const BackupSite site;
  site.publish();
  site.put("backup/mine", "mine");
  const auto full = site.back_up();
  REQUIRE_FALSE(full.has_value());
  CHECK(full.error().code == ErrorCode::kUsage);
  fs::remove(site.target / "mine");
  site.backed_up();  // an empty folder
  const auto again = site.back_up();
  REQUIRE_FALSE(again.has_value());
  CHECK(again.error().code == ErrorCode::kUsage);
  const auto inside = backup::make_backup({.places = site.places(site.data),
                                           .target = site.data / "backup",
                                           .with_keys = false,
                                           .say = [](const auto&) {}});
  REQUIRE_FALSE(inside.has_value());
  CHECK(inside.error().message.contains("is inside of"));

  const Files before = contents_below(site.data);
  const auto over = site.restore(site.data);
  REQUIRE_FALSE(over.has_value());
  CHECK(over.error().code == ErrorCode::kUsage);
  CHECK_MESSAGE(over.error().message.contains("move it away"), over.error().message);
  CHECK(contents_below(site.data) == before);
  const auto registry = open(site.data);
  const auto running = site.restore(site.data);
  REQUIRE_FALSE(running.has_value());
  CHECK(running.error().code == ErrorCode::kConflict);
}

// --- the registry that is asked for its databases

std::atomic<int> asked = 0;

// Holds the lock with this process's id, and answers SIGUSR1 in its own way.
class AskedRegistry {
 public:
  AskedRegistry(const fs::path& data, std::function<void()> answer)
      : before_(std::signal(SIGUSR1, [](int) { ++asked; })) {
    asked = 0;
    file_ =
        Descriptor(::open((data / "registry.lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
    REQUIRE(::flock(file_.get(), LOCK_EX | LOCK_NB) == 0);
    const std::string pid = std::to_string(::getpid());
    REQUIRE(::pwrite(file_.get(), pid.data(), pid.size(), 0) == std::ssize(pid));
    thread_ = std::thread([this, answer = std::move(answer)] {
      for (int answered = 0; !ends_; std::this_thread::yield())
        if (asked > answered) ++answered, answer();
    });
  }
  ~AskedRegistry() {
    ends_ = true;
    thread_.join();
    std::signal(SIGUSR1, before_);
  }
  void end() { file_.close(); }

 private:
  void (*const before_)(int);
  Descriptor file_;
  std::atomic<bool> ends_ = false;
  std::thread thread_;
};

TEST_CASE("a registry that cannot copy its databases says why, and there is no backup") {
  const BackupSite site;
  site.publish();
  const AskedRegistry registry(site.data, [&] {
    site.put("data/copies/audit/logs.db", "");
    site.put("data/copies/failed", "the disk is full");
  });
  const auto made = site.back_up();
  REQUIRE_FALSE(made.has_value());
  CHECK_MESSAGE(made.error().message.contains("the disk is full"), made.error().message);
  CHECK_FALSE(fs::exists(site.target));
}

TEST_CASE("a registry that ends when it is asked is backed up without it") {
  const BackupSite site;
  site.publish();
  AskedRegistry* running = nullptr;
  AskedRegistry registry(site.data, [&] { running->end(); });
  running = &registry;
  const auto made = site.back_up();
  REQUIRE_MESSAGE(made.has_value(), (made ? "" : made.error().message));
  CHECK(asked == 1);
  CHECK(made->files.contains("fleet.db"));
  CHECK(site.check().has_value());
}

TEST_CASE("a day that begins while the databases are copied is asked for again") {
  const BackupSite site;
  site.publish();
  const fs::path newest = site.data / "audit/2026-01-02.db";
  const AskedRegistry registry(site.data, [&] {
    // The registry has opened the newest day after the first copies were made.
    site.put("data/audit/2026-01-02.db-wal", "");
    const bool is_again = asked > 1;
    for (const char* name : {"join-tokens.db", "audit/logs.db"})
      site.put(fmt::format("data/copies/{}", name), read_file(site.data / name, 1 << 20).value());
    if (is_again) site.put("data/copies/audit/2026-01-02.db", read_file(newest, 1 << 20).value());
    site.put("data/copies/fleet.db", read_file(site.data / "fleet.db", 1 << 20).value());
  });
  const auto made = site.back_up();
  REQUIRE_MESSAGE(made.has_value(), (made ? "" : made.error().message));
  CHECK(asked == 2);
  CHECK(made->files.contains("audit/2026-01-02.db"));
  CHECK_FALSE(made->files.contains("audit/2026-01-02.db-wal"));
  CHECK_FALSE(fs::exists(site.data / "copies"));
}

// --- crashes

// In a child process, which a failpoint ends.
TEST_CASE("in a child: back up or restore" * doctest::skip()) {
  const fs::path folder = std::getenv("NOTP_TEST_FOLDER");
  backup::RegistryPlaces places{.data_dir = folder / "data",
                                .audit = folder / "data/audit",
                                .serves_audit = true,
                                .root = folder / "root.envelope",
                                .trust_domain = std::string(samples::kDomain),
                                .configured = {}};
  if (std::getenv("NOTP_TEST_RESTORE") == nullptr) {
    REQUIRE(backup::make_backup({.places = places,
                                 .target = folder / "backup",
                                 .with_keys = false,
                                 .say = [](const auto&) {}})
                .has_value());
    return;
  }
  places.data_dir = folder / "elsewhere";
  places.audit = places.data_dir / "audit";
  REQUIRE(backup::restore_backup({.places = places,
                                  .backup = folder / "backup",
                                  .with_keys = false,
                                  .say = [](const auto&) {}})
              .has_value());
}

int in_child(const BackupSite& site, const std::string& failpoint, bool restores = false) {
  std::vector<std::pair<std::string, std::string>> environment = {
      {"NOTP_TEST_FOLDER", site.folder.path()}, {"NOTP_FAILPOINT", failpoint}};
  if (restores) environment.emplace_back("NOTP_TEST_RESTORE", "1");
  return run_command({fs::read_symlink("/proc/self/exe").string(), "--no-skip",
                      "--test-case=in a child: back up or restore"},
                     environment)
      .status;
}

TEST_CASE("a backup that is killed leaves nothing that passes for one, and the next one succeeds") {
  const BackupSite site;
  site.publish();
  const Files before = contents_below(site.data);
  for (const std::string point :
       {"after_pending", "after_references", "after_packs", "after_references:2", "after_roots",
        "after_databases", "before_manifest"}) {
    CAPTURE(point);
    REQUIRE(in_child(site, "backup." + point) == 137);
    CHECK_FALSE(fs::exists(site.target));
    const fs::path unfinished = site.target.string() + ".unfinished";
    const auto checked = backup::check_backup(unfinished, std::nullopt, [](const auto&) {});
    REQUIRE_FALSE(checked.has_value());
    CHECK(checked.error().code == ErrorCode::kNotFound);
    CHECK(checked.error().message.contains("not a finished backup"));
  }
  // Whole, without its name or with it.
  REQUIRE(in_child(site, "backup.after_manifest") == 137);
  CHECK_FALSE(fs::exists(site.target));
  REQUIRE(in_child(site, "backup.after_rename") == 137);
  CHECK(site.check().has_value());
  fs::remove_all(site.target);
  REQUIRE(in_child(site, "") == 0);
  CHECK(site.check().has_value());
  Files after = contents_below(site.data);
  CHECK(after == before);
}

TEST_CASE("with a restore that was killed neither a registry nor a restore begins") {
  const BackupSite site;
  site.publish();
  site.backed_up();
  const fs::path into = site.folder.path() / "elsewhere";
  REQUIRE(in_child(site, "restore.after_stores", /*restores=*/true) == 137);
  const auto start = backup::check_not_interrupted(into);
  REQUIRE_FALSE(start.has_value());
  CHECK_MESSAGE(start.error().message.contains("was interrupted"), start.error().message);
  const auto again = site.restore(into);
  REQUIRE_FALSE(again.has_value());
  CHECK(again.error().code == ErrorCode::kConflict);
  fs::remove_all(into);
  CHECK(site.restore(into).has_value());
  CHECK(backup::check_not_interrupted(into).has_value());
}

}  // namespace
}  // namespace notp
