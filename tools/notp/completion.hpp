// Shell completion, generated from the tree of commands, so that it always matches it.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

namespace notp::cli {

std::string bash_completion(const CLI::App& tree);
std::string zsh_completion(const CLI::App& tree);
std::string fish_completion(const CLI::App& tree);

}  // namespace notp::cli
