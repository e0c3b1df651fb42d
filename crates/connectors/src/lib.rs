//! Watchers of chains: each looks at a node and reports what it sees; what they report re-enters Holdfast as commands.
