// A model's folder that a test writes again.
#pragma once

#include <doctest/doctest.h>

#include <filesystem>
#include <vector>

#include "common/storage/files.hpp"

namespace notp {

// Makes the folder, or empties it except for the state that a publish noted.
inline void empty_model_folder(const std::filesystem::path& folder) {
  REQUIRE(make_folders(folder));
  std::vector<std::filesystem::path> old;
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    if (entry.path().filename() != ".notp") old.push_back(entry.path());
  for (const auto& path : old) std::filesystem::remove_all(path);
}

}  // namespace notp
