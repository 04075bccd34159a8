#!/bin/sh
# home.sh PACKAGE HOME: lay Flink out in HOME as its own scripts and the operator look for it.
#
# PACKAGE is the folder of the Python package pyflink, which has all of it but rights to run and a writable place. What
# runs Python stands among the cluster's own classes, so that jobs leave none of them behind.
set -eu
mkdir -p "$2/lib" "$2/opt" "$2/plugins" "$2/log"
cp -r "$1/bin" "$1/conf" "$2/"
chmod 755 "$2"/bin/*
ln -s "$1"/lib/*.jar "$1"/opt/flink-python-*.jar "$2/lib/"
ln -s "$1"/opt/*.jar "$2/opt/"
ln -s "$1"/plugins/* "$2/plugins/"
