// Declarations shared by the files of `notp root`.
#pragma once

#include "tools/notp/command.hpp"
#include "tools/notp/root/root_chain.hpp"
#include "tools/notp/root/root_file.hpp"

namespace notp::cli {

// "pattern=pub.pem[,pub.pem…][:threshold]". kUsage, and the errors of reading a key.
Result<trust::Delegation> parse_publisher(const std::string& text);

// Checks that peers would accept this statement once it is signed. kUsage with what is wrong.
Result<void> check_statement(const trust::Root& root);

void add_root_edits(Commands& commands, CLI::App& root);

}  // namespace notp::cli
