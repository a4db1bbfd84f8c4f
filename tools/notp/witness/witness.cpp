#include "tools/notp/witness/witness.hpp"

#include <fmt/format.h>

#include "common/limits.hpp"
#include "common/storage/files.hpp"
#include "protocol/record/tree.hpp"

namespace notp::cli {
namespace {

WitnessAnswer answer(unsigned status, std::string body) {
  WitnessAnswer out;
  out.status = status;
  out.body = std::move(body) + "\n";
  return out;
}

// 409 tells the client from which size it should prove.
WitnessAnswer conflict(uint64_t size) {
  return {409, "text/x.tlog.size", fmt::format("{}\n", size)};
}

}  // namespace

Result<std::unique_ptr<Witness>> Witness::open(const std::filesystem::path& folder,
                                               std::string name, PrivateKey key,
                                               const std::vector<record::NamedKey>& logs,
                                               Report report) {
  if (logs.size() > kWitnessLogsMax)
    return fail(ErrorCode::kConfig, fmt::format("{} trees to witness, at most {} are possible",
                                                logs.size(), kWitnessLogsMax));
  NOTP_TRY(make_folders(folder));
  std::unique_ptr<Witness> out(new Witness(std::move(name), std::move(key), std::move(report)));
  const MutexLock guard(out->mutex_);
  for (const record::NamedKey& each : logs) {
    // An origin may hold any character of a path.
    Log log{each.key, folder / (sha256(each.name).hex() + ".checkpoint"), 0, {}};
    NOTP_TRY(load(log, each.name));
    if (!out->logs_.emplace(each.name, std::move(log)).second)
      return fail(ErrorCode::kConfig, fmt::format("the tree {} is given twice", each.name));
  }
  return out;
}

Result<void> Witness::load(Log& log, const std::string& origin) {
  const auto note = read_file(log.file, limits::kCheckpointBytesMax);
  if (!note && note.error().code == ErrorCode::kNotFound) return {};
  if (!note) return std::unexpected(note.error());
  const auto checkpoint = record::verify_checkpoint(*note, log.key);
  if (!checkpoint || checkpoint->origin != origin)
    return fail(ErrorCode::kCorrupt,
                fmt::format("{} is not a checkpoint of {}: without it this witness could cosign "
                            "another tree; put it back from a backup",
                            log.file.string(), origin));
  log.size = checkpoint->size;
  log.root = checkpoint->root;
  return {};
}

WitnessAnswer Witness::add_checkpoint(std::string_view body, int64_t now_s) {
  const auto request = record::parse_add_checkpoint(body);
  if (!request) return answer(400, request.error().message);
  const MutexLock guard(mutex_);
  auto decided = decide(*request, now_s);
  if (decided) return *std::move(decided);
  report_(fmt::format("a checkpoint could not be kept: {}", decided.error().message));
  return answer(500, "the checkpoint could not be kept, so it is not cosigned");
}

Result<WitnessAnswer> Witness::decide(const record::AddCheckpoint& request, int64_t now_s) {
  const auto shown = record::parse_checkpoint(request.note);
  if (!shown) return answer(400, shown.error().message);
  const auto at = logs_.find(shown->origin);
  if (at == logs_.end()) return answer(404, "this tree is not witnessed here");
  Log& log = at->second;
  const auto checkpoint = record::verify_checkpoint(request.note, log.key);
  if (!checkpoint) return answer(403, checkpoint.error().message);
  if (request.old_size > checkpoint->size)
    return answer(400, "the old size is above that of the checkpoint");
  if (request.old_size != log.size) return conflict(log.size);
  const bool is_same = request.old_size == checkpoint->size;
  if (is_same && log.size != 0 && checkpoint->root != log.root) {
    report_(fmt::format("SPLIT: {} shows two trees of {} leaves: {} and {}; keep this:\n{}",
                        shown->origin, log.size, log.root.hex(), checkpoint->root.hex(),
                        request.note));
    return conflict(log.size);
  }
  if (!record::verify_consistency(log.size, log.root, checkpoint->size, checkpoint->root,
                                  request.consistency)) {
    report_(
        fmt::format("NOT CONSISTENT: {} at {} does not continue what it was at {}; keep this:\n{}",
                    shown->origin, checkpoint->size, log.size, request.note));
    return answer(422, "the proof of consistency does not hold");
  }
  if (!is_same) {
    NOTP_TRY(write_file(log.file, request.note));
    log.size = checkpoint->size;
    log.root = checkpoint->root;
  }
  NOTP_ASSIGN(Bytes signature, record::cosign(request.note, now_s, key_));
  WitnessAnswer out;
  out.status = 200;
  out.body = record::cosignature_line({name_, now_s, std::move(signature)}, key_.public_key());
  return out;
}

}  // namespace notp::cli
