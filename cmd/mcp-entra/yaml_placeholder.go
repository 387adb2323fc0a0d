package main

import _ "go.yaml.in/yaml/v4" // setup and tenant read YAML
