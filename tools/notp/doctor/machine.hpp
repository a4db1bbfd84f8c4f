// What a look at this machine tells: modes of keys, disks, and the limits of a running program.
// Reads only; needs no rights beyond those of the files.
#pragma once

#include <filesystem>
#include <optional>

#include "common/config_section.hpp"
#include "tools/notp/doctor/diagnosis.hpp"

namespace notp::cli::doctor {

// A key that others may read, or write its group: key_mode. A missing file is no finding here.
void check_key_mode(const std::filesystem::path& key, Diagnosis& diagnosis);

// The same for the `keys` that a daemon's --check names; and of the disks of its `folders` room,
// inodes, and a file system on which fsync promises little. A folder that is yet to be made counts
// as its nearest parent.
void check_keys_and_disks(const config::Section& facts, Diagnosis& diagnosis);

// The hard limit of descriptors of the process that runs `program` with the configuration `config`;
// nullopt: none is seen, as in another container.
std::optional<uint64_t> descriptors_of_process(std::string_view program,
                                               const std::filesystem::path& config);
// The same of this process, which another one started here would inherit.
uint64_t own_descriptors();

}  // namespace notp::cli::doctor
