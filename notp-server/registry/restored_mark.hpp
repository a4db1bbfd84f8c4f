// Marks a data folder that was restored: releases that were published after its backup may exist at
// nodes. `notp-server restore` writes the mark before the first ledger; recovery writes it where it
// is missing, and removes it.
#pragma once

#include <filesystem>
#include <optional>

#include "common/clock.hpp"
#include "common/result.hpp"

namespace notp::registry {

inline constexpr const char* kRestoredMark = "restored.json";

struct RestoredMark {
  TimeMs backup_made_ms = 0;  // 0: unknown, the folder was put back by other means
  TimeMs restored_ms = 0;
  // The newest root of the backup, or of the folder when recovery wrote the mark: what was lost is
  // signed as this one or a later one demands.
  uint64_t root_version = 0;
};

// nullopt: there is none. kCorrupt names the file; kIo.
Result<std::optional<RestoredMark>> read_restored_mark(const std::filesystem::path& data_dir);
// Durable when it returns. kIo.
Result<void> write_restored_mark(const std::filesystem::path& data_dir, const RestoredMark& mark);
// Durable when it returns; no error when there is none. kIo.
Result<void> remove_restored_mark(const std::filesystem::path& data_dir);

}  // namespace notp::registry
