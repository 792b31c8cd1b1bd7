// the viewer loads swagger-ui-bundle.js: this variant of it would be in the binary for nobody
