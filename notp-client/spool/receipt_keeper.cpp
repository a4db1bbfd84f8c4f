#include "notp-client/spool/receipt_keeper.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "common/limits.hpp"
#include "common/log.hpp"
#include "common/storage/files.hpp"

namespace notp::spool {
namespace {

constexpr unsigned kPrivateMode = 0600;

size_t evidence_files(const std::filesystem::path& folder) {
  std::error_code ignored;
  const std::filesystem::directory_iterator files(folder, ignored);
  return static_cast<size_t>(std::ranges::count_if(files, [](const auto& file) {
    return file.path().filename().string().starts_with(kEvidenceFront);
  }));
}

// For a terminal: it came from a peer.
std::string shown(std::string_view note) {
  std::string out;
  for (size_t at = 0; at < note.size();) {
    const size_t end = std::min(note.find('\n', at), note.size());
    out += printable(note.substr(at, end - at), limits::kCheckpointBytesMax) + "\n";
    at = end + 1;
  }
  return out;
}

std::string evidence_text(const TreeState& kept, const TreeRefusal& refused) {
  return fmt::format(
      "{}\n{}\n\nKept by this node:\n\n{}\nRefused:\n\n{}\n"
      "Announcement of the tree that is kept:\n\n{}\n\nAnnouncement that came:\n\n{}\n",
      utc_time(refused.time_ms), refused.message,
      kept.checkpoint.empty() ? "no checkpoint\n" : shown(kept.checkpoint), shown(refused.note),
      to_base64(kept.announcement), to_base64(refused.announcement));
}

}  // namespace

ReceiptKeeper::ReceiptKeeper(SegmentTable& table, std::filesystem::path folder, PrivateKey key)
    : table_(table),
      folder_(std::move(folder)),
      key_(std::move(key)),
      log_(record::LogId::of(key_.public_key())),
      book_(std::make_shared<const ReceiptBook>()) {
  auto state = table_.tree();
  auto book = state ? ReceiptBook::open(*std::move(state))
                    : Result<ReceiptBook>(std::unexpected(state.error()));
  if (book) {
    book_ = std::make_shared<const ReceiptBook>(*std::move(book));
    return;
  }
  trouble_ = fmt::format(
      "{}: the next receipt of the registry is taken as the first, and what the registry has "
      "changed before is not seen",
      book.error().message);
  log::write(log::Level::kError, "tree_not_read", book.error(), {{"folder", folder_.string()}});
}

std::shared_ptr<const ReceiptBook> ReceiptKeeper::book() const {
  const MutexLock lock(mutex_);
  return book_;
}

TreeState ReceiptKeeper::state() const { return book()->state(); }

record::Position ReceiptKeeper::free_below(record::Position acknowledged) const {
  return book()->free_below(log_, acknowledged);
}

std::pair<std::optional<record::LogId>, uint64_t> ReceiptKeeper::offered_tree() const {
  const auto now = book();
  return {now->offered_tree(), now->tree_size()};
}

Result<wire::LogWitness> ReceiptKeeper::witness(const wire::LogReceipt& receipt,
                                                const ReceiptPeer& peer, TimeMs wall_ms) {
  const MutexLock working(working_);
  ReceiptBook changed = *book();
  auto answer = spool::witness(changed, *this, receipt, peer, wall_ms);
  const MutexLock lock(mutex_);
  book_ = std::make_shared<const ReceiptBook>(std::move(changed));
  return answer;
}

Result<std::optional<OwnCheckpoint>> ReceiptKeeper::checkpoint_at(record::Position size) {
  return table_.checkpoint_at(size, key_.public_key());
}

Result<void> ReceiptKeeper::keep(const TreeState& state) { return table_.keep_tree(state); }

void ReceiptKeeper::keep_evidence(const TreeState& kept, const TreeRefusal& refused) {
  const auto file =
      folder_ / fmt::format("{}{}.txt", kEvidenceFront, sha256(refused.note).hex().substr(0, 16));
  if (std::filesystem::exists(file) || evidence_files(folder_) >= kEvidenceFilesMax) return;
  const auto written = write_file(file, evidence_text(kept, refused), kPrivateMode);
  if (!written) log::write(log::Level::kError, "tree_evidence_not_kept", written.error());
}

Result<Bytes> ReceiptKeeper::cosign(std::string_view note, int64_t time_s) {
  return record::cosign(note, time_s, key_);
}

}  // namespace notp::spool
