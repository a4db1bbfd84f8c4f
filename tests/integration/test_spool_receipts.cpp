// What a spool keeps of its registry's tree: over restarts, over logs, and after a refusal.
#include <fstream>

#include "common/storage/files.hpp"
#include "notp-client/app/decision_commands.hpp"
#include "notp-client/spool/receipt_keeper.hpp"
#include "notp-client/spool/spool_check.hpp"
#include "tests/support/agent/spools.hpp"
#include "tests/support/registry_tree.hpp"

namespace notp::spools {
namespace {

constexpr TimeMs kWallMs = 1'790'000'000'000;

// Seals some records, as one segment.
spool::SealedLog seal(spool::DecisionSpool& spool, uint64_t from) {
  for (uint64_t i = from; i < from + 5; ++i) append(spool, entry(i));
  REQUIRE(spool.seal_now());
  return spool.sealed();
}

wire::LogWitness take(spool::DecisionSpool& spool, const wire::LogReceipt& receipt) {
  const auto answer = spool.witness(receipt, registry_peer(), kWallMs);
  REQUIRE_MESSAGE(answer, answer.error().message);
  return *answer;
}

std::vector<std::filesystem::path> evidence_in(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> out;
  for (const auto& file : std::filesystem::directory_iterator(folder))
    if (file.path().filename().string().starts_with(spool::kEvidenceFront))
      out.push_back(file.path());
  return out;
}

// A spool that keeps a checkpoint of a tree, and has sealed more since.
struct Witness : SpoolSite {
  RegistryTree tree{1};
  std::unique_ptr<spool::DecisionSpool> log = open();
  spool::SealedLog first, second;

  Witness() {
    first = seal(*log, 0);
    tree.add_others(2);
    tree.add(first.log, first.size, first.root);
    REQUIRE(take(*log, tree.receipt(first.log, first.size, 2, 0)).code == 0);
    second = seal(*log, 5);
    tree.add(second.log, second.size, second.root);
  }
  wire::LogReceipt next() const { return tree.receipt(second.log, second.size, 3, 3); }
};

}  // namespace

TEST_CASE("a spool cosigns with the key of its log, and a restart knows the tree") {
  Witness site;
  CHECK(site.log->offered_tree() == std::pair(std::optional(site.tree.id()), uint64_t{3}));
  const auto receipt = site.next();
  const wire::LogWitness answer = take(*site.log, receipt);
  CHECK(answer.code == 0);
  CHECK(answer.log == site.second.log);
  CHECK(answer.tree_size == 4);
  CHECK(answer.time_s == kWallMs / 1'000);
  CHECK(record::verify_cosignature(receipt.checkpoint, answer.time_s, answer.signature,
                                   key_of(*site.log, site.spool)));
  site.log.reset();
  site.log = site.open();
  CHECK(site.log->offered_tree().second == 4);
  CHECK(site.log->tree().size == site.second.size);
  CHECK(site.log->status().trouble.empty());
  CHECK(evidence_in(site.spool).empty());
  site.log.reset();
  const auto report = spool::verify_spool(site.spool);
  REQUIRE(report);
  CHECK(report->fault_count == 0);
  REQUIRE(report->tree);
  CHECK(report->tree->tree == site.tree.id());
  CHECK(report->tree->registry == RegistryTree::kRegistry);
  CHECK(report->tree->size == 4);
  CHECK(report->tree->witnessed == site.second.size);
  const auto text = client::describe_decisions({.folder = site.spool});
  REQUIRE(text);
  CHECK(text->text.contains(site.tree.id().hex()));
  CHECK(text->text.contains(fmt::format("for records below {} of", site.second.size)));
}

TEST_CASE("a receipt is for the log in use, and for a size at which it has a checkpoint") {
  Witness site;
  auto receipt = site.next();
  receipt.log = {};
  const auto other = site.log->witness(receipt, registry_peer(), kWallMs);
  CHECK(other.error().code == ErrorCode::kState);
  receipt = site.next();
  receipt.size -= 1;
  CHECK(take(*site.log, receipt).code == static_cast<uint32_t>(ErrorCode::kNotFound));
  CHECK_FALSE(site.log->tree().refusal);
}

TEST_CASE("a new log keeps what is known of the tree") {
  Witness site;
  const auto begun = site.log->begin_new_log("it is a fork");
  REQUIRE_MESSAGE(begun, begun.error().message);
  CHECK(site.log->offered_tree() == std::pair(std::optional(site.tree.id()), uint64_t{3}));
  const spool::SealedLog sealed = seal(*site.log, 20);
  CHECK(sealed.log == begun->log);
  site.tree.add(sealed.log, sealed.size, sealed.root);
  CHECK(take(*site.log, site.tree.receipt(sealed.log, sealed.size, 4, 3)).code == 0);
  CHECK(site.log->tree().log == sealed.log);
  site.tree.shrink(2);
  site.tree.add(sealed.log, sealed.size, sealed.root);
  CHECK(take(*site.log, site.tree.receipt(sealed.log, sealed.size, 2, 0))
            .message.contains("shrank from 5 entries to 3"));
}

TEST_CASE("a refusal lasts over a restart, with its evidence, until a person accepts the tree") {
  Witness site;
  RegistryTree other(2);
  other.add(site.second.log, site.second.size, site.second.root);
  const auto lie = other.receipt(site.second.log, site.second.size, 0, 0);
  const wire::LogWitness answer = take(*site.log, lie);
  CHECK(answer.code == static_cast<uint32_t>(ErrorCode::kRegistrySplit));
  CHECK(answer.signature.empty());
  CHECK(answer.kept == site.log->tree().checkpoint);
  (void)take(*site.log, lie);
  const auto files = evidence_in(site.spool);
  REQUIRE(files.size() == 1);
  const auto text = read_file(files[0], 1 << 20);
  REQUIRE(text);
  CHECK(text->contains("the registry has begun another tree"));
  for (const std::string& note : {lie.checkpoint, answer.kept}) {
    CHECK(text->contains(note.substr(0, note.find('\n'))));
    CHECK(text->contains(note.substr(0, note.find("\n\n"))));
  }
  CHECK((std::filesystem::status(files[0]).permissions() & std::filesystem::perms::others_all) ==
        std::filesystem::perms::none);
  site.log.reset();
  site.log = site.open();
  REQUIRE(site.log->tree().refusal);
  CHECK(site.log->tree().refusal->message == answer.message);
  CHECK(site.log->tree().refusal->tree == other.id());
  site.log.reset();

  // What a person does.
  const auto shown = client::describe_decisions({.folder = site.spool});
  REQUIRE(shown);
  CHECK(shown->text.contains("notp-client decisions accept-tree " + other.id().hex()));
  CHECK(client::accept_tree({.folder = site.spool}, "a tree").error().code == ErrorCode::kUsage);
  CHECK(client::accept_tree({.folder = site.spool}, RegistryTree(3).id().hex()).error().code ==
        ErrorCode::kNotFound);
  const auto accepted = client::accept_tree({.folder = site.spool}, other.id().hex());
  REQUIRE_MESSAGE(accepted, accepted.error().message);
  CHECK(accepted->text.contains("is accepted"));
  {
    const auto table = spool::SegmentTable::open_to_read(site.spool / spool::kTableFile);
    REQUIRE(table);
    const auto past = (*table)->past_trees();
    REQUIRE(past);
    REQUIRE(past->size() == 1);
    CHECK(past->front().announcement == site.tree.announcement());
    CHECK(past->front().checkpoint == answer.kept);
    CHECK(past->front().contradiction == lie.checkpoint);
  }
  site.log = site.open();
  CHECK_FALSE(site.log->tree().refusal);
  CHECK_FALSE(site.log->offered_tree().first);
  CHECK(take(*site.log, site.tree.receipt(site.second.log, site.second.size, 3, 0))
            .message.contains("was accepted"));
  CHECK(take(*site.log, lie).code == 0);
  CHECK(site.log->offered_tree().first == other.id());
}

TEST_CASE("the files of evidence are bounded") {
  Witness site;
  for (size_t i = 0; i < spool::kEvidenceFilesMax + 3; ++i) {
    RegistryTree other(static_cast<uint8_t>(10 + i));
    other.add(site.second.log, site.second.size, site.second.root);
    CHECK(take(*site.log, other.receipt(site.second.log, site.second.size, 0, 0)).code != 0);
  }
  CHECK(evidence_in(site.spool).size() == spool::kEvidenceFilesMax);
}

TEST_CASE("segments that a refused registry has acknowledged stay while there is room") {
  Witness site;
  const spool::SealedLog third = seal(*site.log, 10);
  site.log->acknowledged(third.size);
  site.log->close("the end");
  site.log.reset();
  const auto table = spool::SegmentTable::open(site.spool / spool::kTableFile).value();
  auto state = table->load().value().value();
  state.acknowledged = third.size;
  const auto first = [&] {
    record::Position out = 0;
    REQUIRE(table->for_each([&](const spool::SegmentRow& row) {
      out = row.head.first;
      return false;
    }));
    return out;
  };
  // Witnessed up to the end of the first segment.
  const spool::RemovalTerms refused{.sealed_before = INT64_MAX,
                                    .bytes_max = 0,
                                    .evidence_from = site.first.size,
                                    .evidence_bytes_max = UINT64_MAX};
  REQUIRE(table->remove_acknowledged(state, refused));
  CHECK(first() == site.first.size);
  // Its root is known all the same.
  const PublicKey key = PrivateKey::from_pem(state.key_pem).value().public_key();
  CHECK(table->checkpoint_at(site.first.size, key).value()->root == site.first.root);
  CHECK(table->checkpoint_at(site.second.size, key).value()->root == site.second.root);
  CHECK_FALSE(table->checkpoint_at(site.second.size + 1, key).value());
  spool::RemovalTerms full = refused;
  full.evidence_bytes_max = 0;
  REQUIRE(table->remove_acknowledged(state, full));
  CHECK(first() > site.second.size);
  CHECK(table->checkpoint_at(site.second.size, key).value()->root == site.second.root);
}

TEST_CASE("a spool of before there were receipts gets their tables") {
  Witness site;
  site.log.reset();
  {
    SQLite::Database database(site.spool / spool::kTableFile,
                              SQLite::OPEN_READWRITE);  // as an earlier version has made it
    for (const char* table : {"tree", "past_trees", "roots"})
      database.exec(fmt::format("DROP TABLE {}", table));
  }
  const auto report = spool::describe_spool(site.spool);
  REQUIRE_MESSAGE(report, report.error().message);
  CHECK_FALSE(report->tree);
  site.log = site.open();
  CHECK_FALSE(site.log->offered_tree().first);
  CHECK(take(*site.log, site.tree.receipt(site.second.log, site.second.size, 3, 0)).code == 0);
}

TEST_CASE("what is kept of a tree and is damaged is reported, and the log goes on") {
  Witness site;
  site.log.reset();
  {
    SQLite::Database database(site.spool / spool::kTableFile, SQLite::OPEN_READWRITE);
    database.exec("UPDATE tree SET size = size + 1");
  }
  const auto report = spool::verify_spool(site.spool);
  REQUIRE(report);
  REQUIRE(report->fault_count == 1);
  CHECK(report->faults[0].problem.contains("registry's tree"));
  site.log = site.open();
  CHECK(site.log->status().trouble.contains(
      "the next receipt of the registry is taken as the first"));
  CHECK_FALSE(site.log->offered_tree().first);
}

}  // namespace notp::spools
