// The registry's tree on a disk: what it keeps, what a crash leaves, what a lost file begins, and
// what an auditor can prove from it.
#include <doctest/doctest.h>

#include <cstdlib>
#include <fstream>

#include "common/random.hpp"
#include "common/storage/files.hpp"
#include "notp-server/audit_tree/tree_files.hpp"
#include "tests/support/process/command.hpp"
#include "tests/support/registry/memory_tree_store.hpp"
#include "tests/support/registry/tree_site.hpp"
#include "tests/support/temporary_folder.hpp"

namespace notp::audit {
namespace {

using samples::NodeLog;
using samples::TreeSite;
using Sizes = std::vector<uint64_t>;

record::TreeEntry read_by(std::string who) {
  record::TreeEntry out;
  out.kind = record::TreeEntryKind::kRead;
  out.time_ms = 7;
  out.by = std::move(who);
  return out;
}

record::TreeEntry deletion(const record::LogId& log) {
  record::TreeEntry out;
  out.kind = record::TreeEntryKind::kDeletion;
  out.time_ms = 8;
  out.log = log;
  out.count = 5;
  out.rule = "after 30 days";
  return out;
}

TEST_CASE("the database keeps what a store in memory does") {
  const TemporaryFolder folder;
  MemoryTreeStore memory;
  const auto open_file = [&] {
    auto opened = TreeDatabase::open(folder.path() / kTreeFile);
    REQUIRE_MESSAGE(opened, opened.error().message);
    return *std::move(opened);
  };
  auto database = open_file();
  const PrivateKey key = PrivateKey::from_seed({1}), cosigner = PrivateKey::from_seed({2});
  const auto open_log = [&](TreeStore& store) {
    auto opened = TreeLog::open(store, "core/decisions/registry/a/00", PrivateKey::from_seed({1}));
    REQUIRE_MESSAGE(opened, opened.error().message);
    return *std::move(opened);
  };
  auto in_memory = open_log(memory), on_disk = open_log(*database);
  SeededRandom random(5);
  for (int round = 0; round < 40; ++round) {
    std::vector<record::TreeEntry> entries;
    for (uint64_t i = random.below(200); i < 200; ++i) {
      record::TreeEntry entry = read_by(fmt::format("reader {}", random.below(1'000)));
      if (random.below(2) == 0) {
        entry = {};
        entry.log = record::LogId{{static_cast<uint8_t>(random.below(4))}};
        entry.size = random.below(1'000);
        entry.time_ms = round;
      }
      entries.push_back(std::move(entry));
    }
    const auto a = in_memory->append(entries, round), b = on_disk->append(entries, round);
    REQUIRE(a);
    REQUIRE_MESSAGE(b, b.error().message);
    CHECK(a->note == b->note);
    if (round % 7 == 3)
      for (TreeLog* tree : {in_memory.get(), on_disk.get()})
        CHECK(*tree->cosigned(a->size, {"w", 9, *record::cosign(a->note, 9, cosigner)},
                              cosigner.public_key()));
    if (round % 10 == 9) {
      on_disk.reset();
      database.reset();
      database = open_file();
      on_disk = open_log(*database);
    }
    CHECK(on_disk->newest().note == in_memory->newest().note);
    CHECK(on_disk->unwitnessed_since_ms() == in_memory->unwitnessed_since_ms());
    const uint64_t index = random.below(a->size), old_size = random.below(a->size);
    CHECK(on_disk->best_for(index)->note == in_memory->best_for(index)->note);
    CHECK(on_disk->inclusion(index, a->size) == in_memory->inclusion(index, a->size).value());
    CHECK(on_disk->consistency(old_size, a->size) ==
          in_memory->consistency(old_size, a->size).value());
    CHECK(on_disk->entries(old_size, a->size, 5'000) ==
          in_memory->entries(old_size, a->size, 5'000).value());
    for (uint8_t log = 0; log < 4; ++log) {
      const auto left = in_memory->newest_leaf_of({{log}}),
                 right = on_disk->newest_leaf_of({{log}});
      REQUIRE(left.has_value() == right.has_value());
      if (left) CHECK(left->size == right->size);
      const auto some = in_memory->leaf_of({{log}}, index), same = on_disk->leaf_of({{log}}, index);
      REQUIRE(some->has_value() == same->has_value());
      if (*some) CHECK((*some)->index == (*same)->index);
    }
  }
  MESSAGE("entries: " << on_disk->size());
}

// --- files

std::vector<std::string> names_in(const std::filesystem::path& folder) {
  std::vector<std::string> out;
  for (const auto& each : std::filesystem::directory_iterator(folder))
    out.push_back(each.path().filename().string());
  std::ranges::sort(out);
  return out;
}

struct Files {
  TemporaryFolder temporary;
  std::filesystem::path folder = temporary.path() / "audit";

  OpenedTree open(std::string registry = samples::kTreeRegistry) const {
    auto opened = open_tree(folder, samples::tree_owner(std::move(registry)), 5'000);
    REQUIRE_MESSAGE(opened, opened.error().message);
    return *std::move(opened);
  }
  // A tree with a checkpoint of a node, a deletion and a reader.
  record::LogId fill() const {
    const OpenedTree opened = open();
    record::TreeEntry checkpoint;
    checkpoint.log = record::LogId{{1}};
    checkpoint.size = 10;
    REQUIRE(opened.tree->append({checkpoint, deletion(record::LogId{{1}}), read_by("eve")}, 1));
    return opened.tree->id();
  }
  static record::Announcement announcement_of(const OpenedTree& opened) {
    const auto read = record::verify_announcement(opened.announcement);
    REQUIRE(read);
    return *read;
  }
};

TEST_CASE("the first start makes a key and an announcement; the next ones go on") {
  const Files files;
  const record::LogId id = files.fill();
  CHECK((std::filesystem::status(files.folder / kTreeKeyFile).permissions() &
         std::filesystem::perms::all) ==
        (std::filesystem::perms::owner_read | std::filesystem::perms::owner_write));
  const OpenedTree again = files.open();
  CHECK(again.tree->id() == id);
  CHECK(again.tree->size() == 3);
  const record::Announcement announcement = Files::announcement_of(again);
  CHECK(announcement.node == samples::kTreeRegistry);
  CHECK(announcement.log_key == again.tree->public_key());
  CHECK_FALSE(announcement.previous.has_value());
  CHECK(again.tree->origin() == record::log_origin(samples::kTreeRegistry, id));
  CHECK(names_in(files.folder).front() == kTreeFile);
}

TEST_CASE("a lost or damaged file begins a new tree, which names the one before and what it said") {
  struct Case {
    const char* name;
    std::function<void(const std::filesystem::path&)> harm;
    bool is_readable;  // what the old tree said
  };
  const std::vector<Case> cases = {
      {"key lost", [](const auto& folder) { std::filesystem::remove(folder / kTreeKeyFile); },
       true},
      {"key of another tree",
       [](const auto& folder) {
         REQUIRE(write_file(folder / kTreeKeyFile, PrivateKey::generate().to_pem(), 0600));
       },
       true},
      {"key damaged",
       [](const auto& folder) { REQUIRE(write_file(folder / kTreeKeyFile, "no key", 0600)); },
       true},
      {"database lost", [](const auto& folder) { std::filesystem::remove(folder / kTreeFile); },
       false},
      {"database damaged",
       [](const auto& folder) {
         std::ofstream(folder / kTreeFile, std::ios::trunc) << std::string(100'000, 'x');
       },
       false}};
  for (const Case& each : cases) {
    CAPTURE(each.name);
    const Files files;
    const record::LogId id = files.fill();
    each.harm(files.folder);
    record::LogId next;
    {
      const OpenedTree begun = files.open();
      next = begun.tree->id();
      CHECK(next != id);
      const record::Announcement announcement = Files::announcement_of(begun);
      CHECK(announcement.previous == id);
      CHECK_FALSE(announcement.reason.empty());
      CHECK(begun.tree->size() == (each.is_readable ? 2 : 0));
      if (each.is_readable)
        CHECK(record::decode_tree_entry(begun.tree->entries(0, 2, 1 << 20)->front()) ==
              deletion(record::LogId{{1}}));
    }
    CHECK(files.open().tree->id() == next);
    size_t aside = 0;
    for (const std::string& name : names_in(files.folder)) aside += name.contains(id.hex());
    CHECK(aside >= (std::string_view(each.name).ends_with("lost") ? 1 : 2));
  }
}

TEST_CASE("a registry with another name begins a new tree") {
  const Files files;
  const record::LogId id = files.fill();
  const OpenedTree begun = files.open("spiffe://core-platform.internal/registry/second");
  CHECK(Files::announcement_of(begun).previous == id);
  CHECK(begun.tree->origin().contains("/registry/second/"));
}

// Runs in a child process, which a failpoint ends.
TEST_CASE("in a child: begin a tree" * doctest::skip()) {
  std::ignore = open_tree(std::getenv("NOTP_TEST_FOLDER"), samples::tree_owner(), 6'000);
}

TEST_CASE("a crash while a tree begins loses nothing that the one before said") {
  for (const std::string point : {"tree.begun", "tree.between_set_aside"})
    for (const bool has_key : {false, true}) {
      CAPTURE(point);
      CAPTURE(has_key);
      const Files files;
      const record::LogId id = files.fill();
      if (has_key)
        REQUIRE(write_file(files.folder / kTreeKeyFile, PrivateKey::generate().to_pem(), 0600));
      else
        std::filesystem::remove(files.folder / kTreeKeyFile);
      const CommandResult child =
          run_command({std::filesystem::read_symlink("/proc/self/exe").string(), "--no-skip",
                       "--test-case=in a child: begin a tree"},
                      {{"NOTP_TEST_FOLDER", files.folder.string()}, {"NOTP_FAILPOINT", point}});
      REQUIRE_MESSAGE(child.status == 137, child.output);
      const OpenedTree begun = files.open();
      CHECK(Files::announcement_of(begun).previous == id);
      CHECK(begun.tree->size() == 2);
      for (const std::string& name : names_in(files.folder)) CHECK_FALSE(name.contains("begun"));
    }
}

// --- with the store

TEST_CASE("each segment that is stored becomes a leaf, each fault another") {
  const TemporaryFolder folder;
  TreeSite site(folder.path() / "audit");
  NodeLog one("edge-1", 1), two("edge-2", 2);
  site.announce(one);
  site.announce(two);
  for (int i = 0; i < 4; ++i) {
    site.take(one, 20);
    site.take(two, 5);
  }
  // The same node says something else about its place.
  NodeLog forked("edge-1", 1);
  forked.next(30);
  CHECK(site.send(one, forked.next(20)).code != 0);
  site.seal();
  CHECK(site.checkpoints(one.id) == Sizes{20, 40, 60, 80});
  CHECK(site.checkpoints(two.id) == Sizes{5, 10, 15, 20});
  std::vector<record::TreeEntry> faults;
  for (const record::TreeEntry& entry : site.entries())
    if (entry.kind == record::TreeEntryKind::kFault) faults.push_back(entry);
  REQUIRE(faults.size() == 1);
  CHECK(faults[0].log == one.id);
  CHECK(faults[0].code == static_cast<uint32_t>(ErrorCode::kLogFork));
  CHECK_FALSE(faults[0].digest.is_zero());
  // Roots are those of the logs.
  CHECK(site.entries()[site.tree->log().newest_leaf_of(two.id)->index].root == two.tree.root());
}

TEST_CASE("a leaf says that the node had dropped a body, and not that the registry took it out") {
  const TemporaryFolder folder;
  TreeSite site(folder.path() / "audit");
  NodeLog log("edge-1", 1);
  site.announce(log);
  site.take(log, 10);
  CHECK(site.send(log, NodeLog::without_body(log.next(7))).code == 0);
  site.take(log, 10);
  site.seal();
  const auto counts = [&] {
    std::vector<uint64_t> out;
    for (const record::TreeEntry& entry : site.entries())
      if (entry.kind == record::TreeEntryKind::kCheckpoint) out.push_back(entry.count);
    return out;
  };
  CHECK(counts() == Sizes{0, 7, 0});
  CHECK((*site.tree->log().leaf_of(log.id, 17))->dropped == 7);
  // The same when the tree is made again, after the registry has deleted one itself.
  REQUIRE(site.store->remove(site.store->find(log.id, 0)->key));
  site.stop();
  for (const char* name : {kTreeFile, kTreeKeyFile})
    std::filesystem::remove(folder.path() / "audit" / name);
  site.start();
  site.seal();
  CHECK(counts() == Sizes{0, 7, 0});
}

TEST_CASE("a restart neither repeats nor leaves out a leaf") {
  const TemporaryFolder folder;
  TreeSite site(folder.path() / "audit");
  NodeLog log("edge-1", 1);
  site.announce(log);
  Sizes expected;
  for (int i = 0; i < 6; ++i) {
    site.take(log, 10);
    expected.push_back(log.tree.size());
    if (i % 2 == 0) site.seal();
    if (i % 3 == 2) site.restart();
  }
  site.seal();
  CHECK(site.checkpoints(log.id) == expected);
}

TEST_CASE("a store from before the tree is taken into it") {
  const TemporaryFolder folder;
  TreeSite site(folder.path() / "audit");
  NodeLog log("edge-1", 1);
  site.announce(log);
  for (int i = 0; i < 5; ++i) site.take(log, 10);
  site.stop();
  for (const char* name : {kTreeFile, kTreeKeyFile})
    std::filesystem::remove(folder.path() / "audit" / name);
  site.start();
  site.seal();
  CHECK(site.checkpoints(log.id) == Sizes{10, 20, 30, 40, 50});
}

// Runs in a child process, which a failpoint ends.
TEST_CASE("in a child: take segments and seal" * doctest::skip()) {
  TreeSite site(std::getenv("NOTP_TEST_FOLDER"));
  NodeLog log("edge-1", 1);
  site.announce(log);
  for (int i = 0; i < 5; ++i) {
    site.take(log, 10);
    site.seal();
  }
}

TEST_CASE(
    "a crash between a segment and its seal loses no leaf, and no reader is shown two trees") {
  for (const std::string point : {"log_writer.after_commit:3", "tree.before_seal:3",
                                  "tree.before_commit:3", "tree.after_seal:3"}) {
    CAPTURE(point);
    const TemporaryFolder folder;
    const std::string audit = (folder.path() / "audit").string();
    const CommandResult child =
        run_command({std::filesystem::read_symlink("/proc/self/exe").string(), "--no-skip",
                     "--test-case=in a child: take segments and seal"},
                    {{"NOTP_TEST_FOLDER", audit}, {"NOTP_FAILPOINT", point}});
    REQUIRE_MESSAGE(child.status == 137, child.output);
    TreeSite site(audit);
    site.seal();
    const record::LogId log = NodeLog("edge-1", 1).id;
    CHECK(site.checkpoints(log) == Sizes{10, 20, 30});
    CHECK(site.store->logs({}, 10)->front().tree.size() == 30);
    NodeLog again("edge-1", 1);
    for (int i = 0; i < 3; ++i) again.next(10);
    site.take(again, 10);
    site.seal();
    CHECK(site.checkpoints(log) == Sizes{10, 20, 30, 40});
  }
}

// --- proofs

bool see_all(std::string_view) { return true; }

// What an auditor without trust in the registry checks.
void verify(const wire::RecordProof& proof, const NodeLog& log, record::Position position,
            const StoredSegment& stored) {
  const auto tree = record::verify_announcement(proof.announcement);
  const auto node = record::verify_announcement(proof.log_announcement);
  REQUIRE(tree);
  REQUIRE(node);
  CHECK(node->log_key == log.log_key);
  const auto checkpoint = record::verify_checkpoint(proof.checkpoint, tree->log_key);
  REQUIRE(checkpoint);
  CHECK(record::verify_inclusion(record::tree_leaf(proof.entry), proof.index, checkpoint->size,
                                 proof.inclusion, checkpoint->root));
  const auto entry = record::decode_tree_entry(proof.entry);
  REQUIRE(entry);
  auto before = record::Frontier::decode(proof.before);
  REQUIRE(before);
  CHECK(before->size() == proof.first);
  const auto opened = record::OpenedSegment::open(stored.segment.head, stored.segment.body);
  const std::vector<Hash> leaves = record::leaf_hashes(stored.segment.head, *opened);
  CHECK(record::verify_inclusion(leaves[position - proof.first], position, entry->size,
                                 record::inclusion_proof(*before, leaves, position), entry->root));
}

TEST_CASE("a record is proven from the registry's tree, with the cosignatures that it has") {
  const TemporaryFolder folder;
  TreeSite site(folder.path() / "audit");
  NodeLog log("edge-1", 1), other("edge-2", 2);
  site.announce(log);
  site.announce(other);
  SeededRandom random(9);
  for (int i = 0; i < 8; ++i) {
    site.take(log, 1 + random.below(60));
    site.take(other, 1 + random.below(60));
  }
  const Proofs& proofs = site.tree->proofs();
  const record::Position last = log.tree.size() - 1;
  const auto unsealed = proofs.prove({log.id, last}, see_all);
  REQUIRE_FALSE(unsealed);
  CHECK(unsealed.error().code == ErrorCode::kNotFound);
  CHECK(unsealed.error().message.contains("try again in 10 s"));
  site.seal();
  // The other node cosigns, by way of a receipt.
  std::promise<wire::LogReceipt> receipt;
  bool is_over = false;  // the session ends with its first receipt
  site.tree->granted(other.node, {.log = other.id, .size = other.tree.size()},
                     [&](const wire::LogReceipt& each) {
                       if (!is_over) receipt.set_value(each);
                       return !std::exchange(is_over, true);
                     });
  const wire::LogReceipt sent = receipt.get_future().get();
  wire::LogWitness witness{.log = other.id, .tree_size = site.tree->log().size(), .time_s = 5};
  witness.signature = *record::cosign(sent.checkpoint, 5, other.key);
  site.tree->witnessed(other.node, witness, other.log_key);
  site.take(log, 10);
  const uint64_t size = site.seal();
  for (record::Position position = 0; position <= last; position += 1 + random.below(20)) {
    const auto proof = proofs.prove({log.id, position}, see_all);
    REQUIRE_MESSAGE(proof, proof.error().message);
    verify(*proof, log, position, *site.store->find(log.id, position));
    REQUIRE(proof->cosigners.size() == 1);
    CHECK(proof->cosigners[0].node == other.node);
    const auto cosigner = record::verify_announcement(proof->cosigners[0].announcement);
    CHECK(record::cosigned_at(proof->checkpoint, record::log_origin(other.node, other.id),
                              cosigner->log_key) == 5);
  }
  // Above the cosigned checkpoint there is only the registry's word.
  const auto newest = proofs.prove({log.id, last + 5}, see_all);
  REQUIRE(newest);
  verify(*newest, log, last + 5, *site.store->find(log.id, last + 5));
  CHECK(newest->cosigners.empty());
  CHECK(record::parse_checkpoint(newest->checkpoint)->size == size);
  CHECK(proofs.prove({log.id, last + 11}, see_all).error().code == ErrorCode::kNotFound);
  const auto closed = [](std::string_view) { return false; };
  CHECK(proofs.prove({log.id, last}, closed).error().code == ErrorCode::kDenied);
  CHECK(proofs.prove({log.id, 0}, closed).has_value());  // the start of a run
}

TEST_CASE("an auditor reads the tree page by page, and makes its root") {
  const TemporaryFolder folder;
  TreeSite site(folder.path() / "audit");
  NodeLog log("edge-1", 1);
  const auto empty = site.tree->proofs().part({});
  REQUIRE(empty);
  CHECK(empty->size == 0);
  CHECK(record::parse_checkpoint(empty->checkpoint)->size == 0);
  CHECK_FALSE(empty->announcement.empty());
  site.announce(log);
  for (int i = 0; i < 30; ++i) site.take(log, 3);
  for (int i = 0; i < 200; ++i) {
    record::TreeEntry wide = deletion(log.id);
    wide.hashes.assign(600, sha256("x"));
    REQUIRE(site.tree->writer().add(wide));
  }
  const uint64_t size = site.seal();
  record::Frontier frontier;
  size_t pages = 0;
  while (frontier.size() < size) {
    const auto part = site.tree->proofs().part({.from = frontier.size()});
    REQUIRE(part);
    REQUIRE(part->first == frontier.size());
    REQUIRE_FALSE(part->entries.empty());
    for (const Bytes& entry : part->entries) frontier.append(record::tree_leaf(entry));
    ++pages;
  }
  CHECK(pages > 3);
  CHECK(record::parse_checkpoint(site.tree->log().newest().note)->root == frontier.root());
  const auto end = site.tree->proofs().part({.from = size + 7});
  CHECK(end->entries.empty());
  CHECK(end->first == size);
}

}  // namespace
}  // namespace notp::audit
