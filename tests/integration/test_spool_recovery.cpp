// What a spool makes of what a crash, a power cut or damage has left.
#include <SQLiteCpp/SQLiteCpp.h>
#include <fmt/format.h>

#include "notp-client/app/decision_commands.hpp"
#include "notp-client/spool/spool_check.hpp"
#include "tests/support/agent/spools.hpp"

namespace notp::spools {
namespace {

using record::GapReason;
using record::Kind;
using spool::Durability;

constexpr const char* kOtherBoot = "2f0c36a4-0000-4000-8000-000000000002";

std::string content_of(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

void write(const std::filesystem::path& file, const std::string& content) {
  std::ofstream(file, std::ios::binary | std::ios::trunc) << content;
}

std::vector<std::string> names_in(const std::filesystem::path& folder, std::string_view part) {
  std::vector<std::string> out;
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    if (entry.path().filename().string().contains(part))
      out.push_back(entry.path().filename().string());
  return out;
}

// Where the frame of a record begins in the file.
size_t frame_at(const std::string& ring, const spool::Entry& entry) {
  const Bytes content = record::encode_content(entry.time_ns, entry.content);
  const size_t found = ring.find(content);
  REQUIRE(found != std::string::npos);
  // Before the content are the place, of unknown length, and the head of the frame: the frame
  // begins where the length leads exactly to the content's end.
  for (size_t place = 1; place <= record::kPlaceBytesMax; ++place) {
    const size_t begin = found - place - spool::kFrameHeadBytes;
    uint32_t length = 0;
    std::memcpy(&length, ring.data() + begin, sizeof length);
    if (length == place + content.size()) return begin;
  }
  FAIL("the record has no frame");
  return 0;
}

// Of a ring whose frames begin at its start.
size_t first_frame_end(const std::string& ring) {
  constexpr size_t kFramesAt = 12'288;
  uint32_t length = 0;
  std::memcpy(&length, ring.data() + kFramesAt, sizeof length);
  return kFramesAt + spool::kFrameHeadBytes + length;
}

client::DecisionAnswer verify(const std::filesystem::path& folder, bool as_json = false) {
  const auto answer = client::verify_decisions({folder, as_json});
  REQUIRE_MESSAGE(answer, answer.error().message);
  return *answer;
}

}  // namespace

TEST_CASE("a killed process loses nothing that it has written") {
  SpoolSite site;
  auto log = site.open();
  for (uint64_t i = 0; i < 20; ++i) append(*log, entry(i));
  REQUIRE(log->seal_now());
  for (uint64_t i = 20; i < 40; ++i) append(*log, entry(i));
  site.spool = site.killed_copy("killed");
  log = site.open();
  CHECK(log->status().run == 2);
  CHECK(log->status().trouble.empty());
  const auto records = all_records(*log, site.spool);
  REQUIRE(records.size() == 42);
  CHECK(gaps_in(records).empty());
  for (uint64_t i = 0; i < 40; ++i) CHECK(records[i + 1].time_ns == samples::decision_time_ns(i));
  CHECK(records[41].kind() == Kind::kRunStart);
  CHECK(records[41].place.run == 2);
}

TEST_CASE("a frame that was cut at any byte is cut off, and what is before it stays") {
  SpoolSite site;
  auto log = site.open();
  for (uint64_t i = 0; i < 3; ++i) append(*log, entry(i));
  const auto killed = site.killed_copy("killed");
  log.reset();
  const std::string ring = content_of(killed / spool::kRingFile);
  const size_t begin = frame_at(ring, entry(2));
  const size_t end = ring.find_last_not_of('\0') + 1;
  REQUIRE(end > begin + spool::kFrameHeadBytes);
  for (size_t cut = begin; cut < end; ++cut) {
    INFO("cut at byte ", cut - begin, " of ", end - begin);
    if (ring[cut] == '\0' && cut + 1 == end) continue;
    const auto copy = site.folder.path() / "cut";
    std::filesystem::remove_all(copy);
    std::filesystem::copy(killed, copy);
    std::string torn = ring;
    std::fill(torn.begin() + static_cast<ptrdiff_t>(cut), torn.end(), '\0');
    if (torn == ring) continue;
    write(copy / spool::kRingFile, torn);
    const auto again = site.open_copy(copy);
    CHECK(again->status().trouble.empty());
    // The run's start has the place of the torn one.
    CHECK(again->status().next == 4);
    CHECK(append(*again, entry(9)) == 4);
    if (cut % 64 != 0) continue;
    const auto records = all_records(*again, copy);
    REQUIRE(records.size() == 5);
    CHECK(gaps_in(records).empty());
    CHECK(records[2].time_ns == samples::decision_time_ns(1));
    CHECK(records[3].kind() == Kind::kRunStart);
  }
}

TEST_CASE("frames behind a cut do not come back, even where they would fit") {
  SpoolSite site;
  auto log = site.open();
  for (uint64_t i = 0; i < 10; ++i) append(*log, entry(5));  // all of one length
  const auto killed = site.killed_copy("killed");
  log.reset();
  std::string ring = content_of(killed / spool::kRingFile);
  // The third of them is damaged: a power cut has lost it, and not those behind it.
  const size_t at = frame_at(ring, entry(5));
  const size_t second =
      ring.find(record::encode_content(entry(5).time_ns, entry(5).content), at + 100);
  ring[second + 20] ^= 1;
  write(killed / spool::kRingFile, ring);
  site.start_machine(kOtherBoot);
  site.spool = killed;
  log = site.open();
  const record::Position next = log->status().next;
  for (uint64_t i = 0; i < 3; ++i) append(*log, entry(5));
  site.spool = site.killed_copy("again");
  log = site.open();
  CHECK(log->status().next == next + 4);
  const auto records = all_records(*log, site.spool);
  CHECK(records.size() == next + 4);
  CHECK(count_of_kind(records, Kind::kDecision) == 1 + 3);
}

TEST_CASE("a damaged frame in the same boot is damage, counted exactly") {
  SpoolSite site;
  auto log = site.open();
  for (uint64_t i = 0; i < 10; ++i) append(*log, entry(i));
  REQUIRE(wait_durable(*log, 10));
  for (uint64_t i = 10; i < 13; ++i) append(*log, entry(i));
  site.spool = site.killed_copy("killed");
  std::string ring = content_of(site.spool / spool::kRingFile);
  ring[frame_at(ring, entry(7)) + 40] ^= 1;
  write(site.spool / spool::kRingFile, ring);
  log = site.open();
  CHECK(log->status().trouble.contains("6 records are missing"));
  const auto records = all_records(*log, site.spool);
  const auto gaps = gaps_in(records);
  REQUIRE(gaps.size() == 1);
  CHECK(gaps[0].reason == GapReason::kDamaged);
  CHECK(gaps[0].count == 6);  // decisions 7 to 12
  CHECK_FALSE(gaps[0].at_most);
  // The gap ends the run that lost them.
  CHECK(records[8].kind() == Kind::kGap);
  CHECK(records[8].place.run == 1);
  CHECK(records[9].place.run == 2);
}

TEST_CASE("a power cut is one gap that the lease bounds, and none after an orderly end") {
  SpoolSite site;
  auto log = site.open();
  for (uint64_t i = 0; i < 10; ++i) append(*log, entry(i));
  REQUIRE(wait_durable(*log, 10));
  for (uint64_t i = 10; i < 15; ++i) append(*log, entry(i));
  SUBCASE("nothing of the last records is on the disk") {
    site.spool = site.killed_copy("cut");
    std::string ring = content_of(site.spool / spool::kRingFile);
    const size_t begin = frame_at(ring, entry(10));
    std::fill(ring.begin() + static_cast<ptrdiff_t>(begin), ring.end(), '\0');
    write(site.spool / spool::kRingFile, ring);
    site.start_machine(kOtherBoot);
    log = site.open();
    CHECK(log->status().trouble.empty());
    const auto gaps = gaps_in(all_records(*log, site.spool));
    REQUIRE(gaps.size() == 1);
    CHECK(gaps[0].reason == GapReason::kPowerLoss);
    CHECK(gaps[0].at_most);
    CHECK(gaps[0].count == limits::kRingLease);
  }
  SUBCASE("a durable record is damaged as well") {
    // The sync before the last one has promised the first records.
    REQUIRE(wait_durable(*log, append(*log, entry(15, Durability::kStrict))));
    site.spool = site.killed_copy("cut");
    std::string ring = content_of(site.spool / spool::kRingFile);
    ring[frame_at(ring, entry(8)) + 40] ^= 1;
    write(site.spool / spool::kRingFile, ring);
    site.start_machine(kOtherBoot);
    log = site.open();
    const auto gaps = gaps_in(all_records(*log, site.spool));
    REQUIRE(gaps.size() == 2);
    CHECK(gaps[0].reason == GapReason::kDamaged);
    CHECK(gaps[0].count == 2);
    CHECK(gaps[1].reason == GapReason::kPowerLoss);
    CHECK(gaps[1].at_most);
    CHECK(gaps[1].count == limits::kRingLease + 6);
  }
  SUBCASE("the run had ended in order") {
    log->close("done");
    log.reset();
    site.start_machine(kOtherBoot);
    log = site.open();
    CHECK(gaps_in(all_records(*log, site.spool)).empty());
  }
}

TEST_CASE("a damaged or deleted database is a new log that names the one before") {
  SpoolSite site;
  auto log = site.open();
  const record::LogId before = log->status().log;
  for (uint64_t i = 0; i < 10; ++i) append(*log, entry(i));
  log->close("done");
  log.reset();
  SUBCASE("damaged") {
    std::string table = content_of(site.spool / spool::kTableFile);
    std::fill(table.begin() + 100, table.begin() + 16'000, 'x');
    write(site.spool / spool::kTableFile, table);
    log = site.open();
    CHECK(names_in(site.spool, "spool.db.old-").size() == 1);
  }
  SUBCASE("deleted") {
    std::filesystem::remove(site.spool / spool::kTableFile);
    log = site.open();
  }
  SUBCASE("its one row is damaged") {
    {
      SQLite::Database table((site.spool / spool::kTableFile).string(), SQLite::OPEN_READWRITE);
      table.exec("UPDATE log SET run = 1000");
    }
    log = site.open();
  }
  CHECK(names_in(site.spool, "decisions.ring.old-").size() == 1);
  CHECK(log->status().log != before);
  CHECK(log->status().run == 1);
  CHECK(log->status().trouble.contains("a new log was begun"));
  const auto records = all_records(*log, site.spool);
  REQUIRE(records.size() == 2);
  CHECK(records[0].kind() == Kind::kGap);
  CHECK(records[0].place.run == 1);
  CHECK(records[1].kind() == Kind::kRunStart);
  CHECK(records[1].place.run == 1);
  const auto gaps = gaps_in(records);
  REQUIRE(gaps.size() == 1);
  CHECK(gaps[0].reason == GapReason::kNewLog);
  CHECK(gaps[0].message.contains(before.hex()));
  log->close("done");
  log.reset();
  auto table = spool::SegmentTable::open_to_read(site.spool / spool::kTableFile).value();
  CHECK(table->load().value()->previous == before);
}

TEST_CASE("a log ends when the node has another name, or its runs cannot be numbered") {
  SpoolSite site;
  auto log = site.open();
  const record::LogId before = log->status().log;
  append(*log, entry(1));
  log->close("done");
  log.reset();
  std::string reason;
  SUBCASE("name") {
    site.identity.node = "spiffe://shop.example/node/till-8";
    reason = "the node's name was";
  }
  SUBCASE("runs") {
    auto table = spool::SegmentTable::open(site.spool / spool::kTableFile).value();
    spool::LogState state = table->load().value().value();
    state.run = limits::kRunMax;
    REQUIRE(table->save(state));
    reason = "4095 runs";
  }
  log = site.open();
  CHECK(log->status().log != before);
  CHECK(log->status().trouble.contains(reason));
  CHECK(log->status().run == 1);
  CHECK(log->status().next == 2);
}

TEST_CASE(
    "a new log says how many records the one before had that the registry lacks, also when "
    "its first start is cut short") {
  SpoolSite site;
  auto log = site.open();
  for (uint64_t i = 0; i < 10; ++i) append(*log, entry(i));
  REQUIRE(log->seal_now());
  const record::Position acknowledged = log->sealed().size;
  log->acknowledged(acknowledged);
  for (uint64_t i = 10; i < 17; ++i) append(*log, entry(i));
  log->close("done");
  const uint64_t lost = log->sealed().size - acknowledged;
  log.reset();
  site.identity.node = "spiffe://shop.example/node/till-8";
  log = site.open();
  SUBCASE("it is not") {}
  SUBCASE("before there is a ring") {
    site.spool = site.killed_copy("killed");
    log.reset();
    auto table = spool::SegmentTable::open(site.spool / spool::kTableFile).value();
    spool::LogState state = table->load().value().value();
    state.run = 0;
    state.ended = true;
    state.live = {};
    REQUIRE(table->save(state));
    table.reset();
    std::filesystem::remove(site.spool / spool::kRingFile);
    log = site.open();
  }
  SUBCASE("with the ring, before its run is saved") {
    site.spool = site.killed_copy("killed");
    log.reset();
    std::string ring = content_of(site.spool / spool::kRingFile);
    const size_t end = first_frame_end(ring);
    std::fill(ring.begin() + static_cast<ptrdiff_t>(end), ring.end(), '\0');
    write(site.spool / spool::kRingFile, ring);
    auto table = spool::SegmentTable::open(site.spool / spool::kTableFile).value();
    spool::LogState state = table->load().value().value();
    state.run = 0;
    REQUIRE(table->save(state));
    table.reset();
    log = site.open();
  }
  REQUIRE(log->seal_now());
  CHECK(log->status().run == 1);
  std::vector<record::Record> records;
  REQUIRE(log->read(0, [&](const record::Record& each) { records.push_back(each); }));
  REQUIRE(records.size() == 2);
  CHECK(records[1].kind() == Kind::kRunStart);
  for (const record::Record& each : records) CHECK(each.place.run == 1);
  const auto gaps = gaps_in(records);
  REQUIRE(gaps.size() == 1);
  CHECK(gaps[0].reason == GapReason::kNewLog);
  CHECK(gaps[0].count == lost);
}

TEST_CASE("a ring that is gone is a gap, unless the run before had ended in order") {
  SpoolSite site;
  auto log = site.open();
  append(*log, entry(1));
  SUBCASE("killed") {
    REQUIRE(log->seal_now());
    append(*log, entry(2));
    site.spool = site.killed_copy("killed");
    std::filesystem::remove(site.spool / spool::kRingFile);
    log = site.open();
    const auto gaps = gaps_in(all_records(*log, site.spool));
    REQUIRE(gaps.size() == 1);
    CHECK(gaps[0].reason == GapReason::kDamaged);
    CHECK(gaps[0].at_most);
    CHECK(log->status().trouble.contains("records are missing"));
  }
  SUBCASE("ended") {
    log->close("done");
    log.reset();
    std::filesystem::remove(site.spool / spool::kRingFile);
    log = site.open();
    CHECK(gaps_in(all_records(*log, site.spool)).empty());
  }
}

TEST_CASE("another size of the ring takes the records that are in it along") {
  SpoolSite site;
  auto log = site.open();
  for (uint64_t i = 0; i < 50; ++i) append(*log, entry(i));
  site.spool = site.killed_copy("killed");
  site.options.ring_bytes = 2 << 20;
  log = site.open();
  append(*log, entry(50));
  site.spool = site.killed_copy("again");
  log = site.open();
  const auto records = all_records(*log, site.spool);
  CHECK(count_of_kind(records, Kind::kDecision) == 51);
  CHECK(count_of_kind(records, Kind::kRunStart) == 3);
  CHECK(gaps_in(records).empty());
}

TEST_CASE("one process uses a spool") {
  const SpoolSite site;
  const auto log = site.open();
  const auto second = spool::DecisionSpool::open(site.spool, site.options, site.identity);
  REQUIRE_FALSE(second);
  CHECK(second.error().code == ErrorCode::kConflict);
  const auto verified = client::verify_decisions({site.spool, false});
  REQUIRE_FALSE(verified);
  CHECK(verified.error().code == ErrorCode::kConflict);
  CHECK(verified.error().message.contains("stop it"));
}

TEST_CASE("without a certificate records wait in the ring, and are sealed when the name is known") {
  SpoolSite site;
  site.identity.node.clear();
  auto log = site.open();
  append(*log, entry(1));
  const auto sealed = log->seal_now();
  REQUIRE_FALSE(sealed);
  CHECK(sealed.error().code == ErrorCode::kState);
  log->close("done");
  log.reset();
  log = site.open();
  append(*log, entry(2));
  log->set_node(kNode);
  REQUIRE(log->seal_now());
  const auto records = all_records(*log, site.spool);
  CHECK(records.size() == 5);
  log.reset();
  // The name is part of the log from now on.
  log = site.open();
  CHECK(log->status().trouble.empty());
  REQUIRE(log->seal_now());
}

TEST_CASE("the announcement is signed when there is a certificate, and kept") {
  SpoolSite site;
  const x509::Key key = x509::make_key(x509::KeyType::kEd25519).value();
  x509::Draft draft;
  draft.common_name = "till-7";
  draft.uris = {kNode};
  draft.not_after_ms = 4'102'444'800'000;
  draft.client_auth = true;
  const x509::Certificate certificate = x509::sign_own(draft, key.get()).value();
  uint8_t* der = nullptr;
  const int bytes = i2d_X509(certificate.get(), &der);
  REQUIRE(bytes > 0);
  const Bytes leaf(reinterpret_cast<char*>(der), static_cast<size_t>(bytes));
  OPENSSL_free(der);
  std::atomic<bool> has_certificate = false;
  site.identity.signer = [&]() -> Result<record::AnnouncementSigner> {
    if (!has_certificate) return fail(ErrorCode::kNoCertificate, "no certificate yet");
    return record::AnnouncementSigner{
        {leaf}, [&](ByteView message) -> Result<Bytes> {
          Bytes signature(64, '\0');
          size_t size = signature.size();
          EVP_MD_CTX* context = EVP_MD_CTX_new();
          EVP_DigestSignInit(context, nullptr, nullptr, nullptr, key.get());
          EVP_DigestSign(context, reinterpret_cast<uint8_t*>(signature.data()), &size,
                         reinterpret_cast<const uint8_t*>(message.data()), message.size());
          EVP_MD_CTX_free(context);
          return signature;
        }};
  };
  auto log = site.open();
  REQUIRE(log->seal_now());
  CHECK(log->sealed().announcement.empty());
  has_certificate = true;
  append(*log, entry(1));
  REQUIRE(log->seal_now());
  const Bytes signed_one = log->sealed().announcement;
  const auto announcement = record::verify_announcement(signed_one);
  REQUIRE_MESSAGE(announcement, announcement.error().message);
  CHECK(announcement->node == kNode);
  CHECK(announcement->trust_domain == "shop.example");
  CHECK(record::LogId::of(announcement->log_key) == log->status().log);
  CHECK_FALSE(announcement->previous);
  log.reset();
  log = site.open();
  CHECK(log->sealed().announcement == signed_one);
}

TEST_CASE("verify says that a spool is whole, has gaps, or is damaged, and where") {
  SpoolSite site;
  auto log = site.open();
  for (uint64_t i = 0; i < 100; ++i) {
    append(*log, entry(i));
    if (i % 40 == 39) REQUIRE(log->seal_now());
  }
  const std::string id = log->status().log.hex();
  SUBCASE("whole") {
    log->close("done");
    log.reset();
    const auto answer = verify(site.spool);
    CHECK(answer.exit == 0);
    CHECK(answer.text.contains("100 decisions"));
    CHECK(answer.text.contains("every record is as it was hashed and signed"));
    const auto stats = client::describe_decisions({site.spool, false});
    REQUIRE(stats);
    CHECK(stats->exit == 0);
    CHECK(stats->text.contains(id));
  }
  SUBCASE("a gap, in the ring") {
    record::Gap gap;
    gap.reason = GapReason::kSource;
    gap.count = 3;
    gap.source = "opa-1";
    append(*log, {1, gap, nullptr, Durability::kBatched});
    log.reset();
    const auto answer = verify(site.spool);
    CHECK(answer.exit == 3);
    CHECK(answer.text.contains("source, 3 of opa-1"));
  }
  SUBCASE("one bit of a segment") {
    log->close("done");
    log.reset();
    size_t found = 0, tried = 0;
    Bytes body;
    {
      SQLite::Database table((site.spool / spool::kTableFile).string(), SQLite::OPEN_READONLY);
      SQLite::Statement query(table, "SELECT body FROM bodies WHERE first = 41");
      REQUIRE(query.executeStep());
      body = query.getColumn(0).getString();
    }
    for (size_t at = 0; at < body.size(); at += 97, ++tried) {
      Bytes damaged = body;
      damaged[at] ^= static_cast<char>(1 << (at % 8));
      {
        SQLite::Database table((site.spool / spool::kTableFile).string(), SQLite::OPEN_READWRITE);
        SQLite::Statement change(table, "UPDATE bodies SET body = ? WHERE first = 41");
        change.bindNoCopy(1, damaged.data(), static_cast<int>(damaged.size()));
        change.exec();
      }
      const auto report = spool::verify_spool(site.spool);
      REQUIRE(report);
      if (report->fault_count == 0) continue;
      ++found;
      CHECK(report->faults[0].position >= 41);
      CHECK(report->faults[0].position < 81);
      const auto answer = verify(site.spool);
      CHECK(answer.exit == 1);
      CHECK(answer.text.contains("log " + id + " position"));
    }
    // A bit that zstd does not read changes no record.
    MESSAGE(found, " of ", tried, " bits found");
    CHECK(tried > 20);
    CHECK(found + 1 >= tried);
  }
  SUBCASE("a segment is missing") {
    log->close("done");
    log.reset();
    {
      SQLite::Database table((site.spool / spool::kTableFile).string(), SQLite::OPEN_READWRITE);
      table.exec("DELETE FROM bodies WHERE first = 41");
      table.exec("DELETE FROM segments WHERE first = 41");
    }
    const auto answer = verify(site.spool);
    CHECK(answer.exit == 1);
    CHECK(answer.text.contains("position 41"));
  }
  SUBCASE("a frame of the ring") {
    REQUIRE(wait_durable(*log, 100));
    REQUIRE(wait_durable(*log, append(*log, entry(100))));
    log.reset();
    std::string ring = content_of(site.spool / spool::kRingFile);
    ring[frame_at(ring, entry(95)) + 50] ^= 1;
    write(site.spool / spool::kRingFile, ring);
    const auto answer = verify(site.spool, /*as_json=*/true);
    CHECK(answer.exit == 1);
    CHECK(answer.text.contains("\"position\": 96"));
  }
}

}  // namespace notp::spools
