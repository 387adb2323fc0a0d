// docs/deploy/containerapps.md
targetScope = 'resourceGroup'

@description('The app, and the first part of its host.')
param name string = 'mcp-server'

@description('The Container Apps environment, in this resource group.')
param environmentName string

@description('The user-assigned managed identity, in this resource group: the federated credential of the API\'s app registration. It may pull the image.')
param identityName string

@description('The image, with its registry: REGISTRY.azurecr.io/mcp-server@sha256:...')
param image string

@description('API_APP_ID: the application ID of the API\'s app registration.')
param apiAppId string

param tenantId string = tenant().tenantId

@description('https://ACCOUNT.blob.core.windows.net')
param storageAccountUrl string

param storageContainer string

@secure()
@description('STATE_KEYS: base64 of 32 random bytes, the same for all replicas.')
param stateKeys string

resource environment 'Microsoft.App/managedEnvironments@2024-03-01' existing = {
  name: environmentName
}

resource identity 'Microsoft.ManagedIdentity/userAssignedIdentities@2023-01-31' existing = {
  name: identityName
}

// The URL that clients use. With a domain of your own, write that one here: the server
// accepts requests for this host and no other.
var publicUrl = 'https://${name}.${environment.properties.defaultDomain}'

resource app 'Microsoft.App/containerApps@2024-03-01' = {
  name: name
  location: resourceGroup().location
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: {
      '${identity.id}': {}
    }
  }
  properties: {
    environmentId: environment.id
    configuration: {
      activeRevisionsMode: 'Single'
      ingress: {
        external: true
        allowInsecure: false
        targetPort: 8000
        transport: 'http'
      }
      registries: [
        {
          server: split(image, '/')[0]
          identity: identity.id
        }
      ]
      secrets: [
        {
          name: 'state-keys'
          value: stateKeys
        }
      ]
    }
    template: {
      // 0 s before the stop + 25 s to drain + 10 s
      terminationGracePeriodSeconds: 35
      containers: [
        {
          name: 'mcp-server'
          image: image
          resources: {
            cpu: json('0.5')
            memory: '1Gi'
          }
          env: [
            { name: 'TENANT_ID', value: tenantId }
            { name: 'API_APP_ID', value: apiAppId }
            { name: 'PUBLIC_URL', value: publicUrl }
            { name: 'USE_OBO_FLOW', value: 'true' }
            { name: 'UMI_CLIENT_ID', value: identity.properties.clientId }
            { name: 'AZURE_STORAGE_ACCOUNT_URL', value: storageAccountUrl }
            { name: 'AZURE_STORAGE_CONTAINER', value: storageContainer }
            // of the 2 GiB that a replica with 0.5 CPU has
            { name: 'DOWNLOAD_MAX_BYTES', value: '1073741824' }
            { name: 'STATE_KEYS', secretRef: 'state-keys' }
          ]
          probes: [
            {
              type: 'Startup'
              tcpSocket: { port: 8000 }
              periodSeconds: 2
              failureThreshold: 30
            }
            {
              type: 'Readiness'
              httpGet: { path: '/ready', port: 8000 }
              periodSeconds: 5
              timeoutSeconds: 3
              failureThreshold: 2
            }
            {
              // TCP: a restart does not bring Entra back
              type: 'Liveness'
              tcpSocket: { port: 8000 }
              periodSeconds: 10
              failureThreshold: 3
            }
          ]
          volumeMounts: [
            { volumeName: 'downloads', mountPath: '/downloads' }
          ]
        }
      ]
      volumes: [
        { name: 'downloads', storageType: 'EmptyDir' }
      ]
      scale: {
        minReplicas: 2
        maxReplicas: 10
      }
    }
  }
}

// The server checks tokens itself. Built-in authentication would answer first, without
// the metadata and challenges that MCP clients need.
resource noBuiltInAuthentication 'Microsoft.App/containerApps/authConfigs@2024-03-01' = {
  parent: app
  name: 'current'
  properties: {
    platform: {
      enabled: false
    }
  }
}

output endpoint string = '${publicUrl}/mcp'
